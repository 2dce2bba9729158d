import type { Sizes } from "../sizes.ts";
import type { Engine } from "./engine.ts";
import type { PlanStep } from "./plan.ts";
import type { PreparedSteps } from "./steps.ts";

/** Bytes that a dispatch of a step moves. */
export type BytesMoved = (prepared: PreparedSteps, step: PlanStep, symbols: Sizes) => number;

/**
 * Counts the bytes that dispatches move from what they are bound to, each byte once: constants of a matmul in full,
 * caches as far as they are filled, and what calls write as far as the call's tokens fill it; in attention of one token
 * that is partial results, of which there are as many as the caches are filled. Other constants may be tables of which
 * rows are taken: they count for no more than the rest, and in attention, which rotates by them, not at all.
 */
export function bytesMoved({ plan, graph, calls }: Pick<Engine, "plan" | "graph" | "calls">): BytesMoved {
  const capacities = new Map(
    graph.states.map(({ name, value }) => [name, Number(graph.values[value]!.shape.at(-2) ?? 1)]),
  );
  return ({ when }, { class: stepClass, pipeline, bindings }, symbols) => {
    const accesses = plan.pipelines[pipeline]!.bindings.filter((access) => access !== "symbols");
    const longest = calls.longest(when);
    // what is no language model has no positions
    const filled = (capacity: number) => Math.min(1, (calls.end(symbols) || capacity) / capacity);
    let part = longest === undefined ? 1 : calls.sizeOf(symbols) / longest;
    if (longest === 1 && stepClass === "attention") part = filled(Math.max(...capacities.values()));
    let [constants, moved] = [0, 0];
    bindings.forEach(({ buffer, size }, i) => {
      const planned = plan.buffers[buffer]!;
      if (accesses[i] === "constant") constants += size;
      else moved += size * (planned.kind === "state" ? filled(capacities.get(planned.name)!) : part);
    });
    if (stepClass === "attention") constants = 0;
    return Math.round(moved + (stepClass === "matmul" ? constants : Math.min(constants, moved)));
  };
}
