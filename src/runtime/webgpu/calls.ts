import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import { addDims, type Dim, dimKey, evaluateDim, symbolBounds } from "../../tensor/dim.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ProgramGraph } from "../graph.ts";
import { bindInputs } from "../inputs.ts";
import type { Sizes } from "../sizes.ts";
import type { PlanSchedule } from "./plan.ts";

/** What the calls of a program may be: shaders check nothing, and what they read beyond a buffer is made up. */
export class Calls {
  readonly #graph: ProgramGraph;
  readonly #schedules: readonly Pick<PlanSchedule, "when">[];
  /** Rows that calls write to caches must end before these. */
  readonly #caches: readonly { readonly end: Dim; readonly capacity: number }[];
  /** Inputs whose elements are rows of a table. */
  readonly #lookups: readonly { readonly input: string; readonly entries: number }[];
  /** The size of a call of a language model: that of its input `tokens`. */
  readonly #callSize: Dim | undefined;
  /** The symbol that stands for `start_pos`, and the largest value that it may have. */
  readonly #position: readonly [string, { readonly max: number }] | undefined;
  /** The longest call that there is a schedule for, where the schedules bound it. */
  readonly maxSize: number | undefined;

  constructor(graph: ProgramGraph, schedules: readonly Pick<PlanSchedule, "when">[]) {
    this.#graph = graph;
    this.#schedules = schedules;
    const shapeOf = (value: unknown): readonly Dim[] => graph.values[value as number]!.shape;
    const inputOf = (value: unknown) => graph.inputs.find((input) => input.value === value);
    const caches = new Map<string, { end: Dim; capacity: number }>();
    for (const { op, args } of graph.nodes) {
      const start = inputOf(args.start_pos)?.contents?.[0];
      if (op !== "kv.update" || start === undefined) continue;
      const end = addDims(start, shapeOf(args.new)[2]!);
      const capacity = Number(shapeOf(args.cache)[2]);
      caches.set(`${dimKey(end)} ${capacity}`, { end, capacity });
    }
    this.#caches = [...caches.values()];
    this.#lookups = graph.nodes.flatMap(({ op, args }) => {
      const input = op === "nn.embedding" ? inputOf(args.ids)?.name : undefined;
      return input === undefined ? [] : [{ input, entries: Number(shapeOf(args.table)[0]) }];
    });
    this.#callSize = graph.inputs
      .filter(({ name }) => name === "tokens")
      .map(({ value }) => shapeOf(value)[1])[0];
    const start = graph.inputs.find(({ name }) => name === "start_pos")?.contents?.[0];
    this.#position = start === undefined ? undefined : [...symbolBounds(start)][0];
    if (this.#callSize === undefined) return;
    const bounds = schedules.map(({ when }) => this.longest(when));
    if (!bounds.includes(undefined)) this.maxSize = Math.max(...(bounds as number[]));
  }

  /**
   * Checks a call's inputs. @returns the values of the symbols
   * @throws BitnetcError `program-input`, also for ids and positions that there is no room for; `call-size`
   */
  symbolsOf(inputs: Readonly<Record<string, Tensor>>): Sizes {
    const symbols = bindInputs(this.#graph, inputs);
    for (const { input, entries } of this.#lookups) {
      const wrong = inputs[input]!.data.find((id) => !(id >= 0 && id < entries));
      if (wrong !== undefined)
        throw new BitnetcError(diagnostics.programInput(input, `has ${wrong}, but must be below ${entries}`));
    }
    const full = this.#fullCache(symbols);
    if (full !== undefined)
      throw new BitnetcError(
        diagnostics.programInput(
          "start_pos",
          `and the tokens end at ${evaluateDim(full.end, symbols)}, but a cache has ${full.capacity} positions`,
        ),
      );
    if (this.scheduleFor(symbols) < 0) {
      const size = this.sizeOf(symbols);
      throw new BitnetcError(diagnostics.callSize(size, 1, this.maxSize ?? size));
    }
    return symbols;
  }

  /** The number of the schedule that runs a call; -1 when there is none. */
  scheduleFor(symbols: Sizes): number {
    return this.#schedules.findIndex(({ when }) =>
      when.every(({ symbol, min, max }) => {
        const value = symbols.get(symbol)!;
        return value >= min && value <= max;
      }),
    );
  }

  /** The number of the schedule that runs a call with one token; -1 when there is none. */
  scheduleForToken(): number {
    const size = this.#callSize;
    if (size === undefined) return -1;
    return this.scheduleFor(
      new Map([
        [this.#position?.[0] ?? "", 0],
        [dimKey(size), 1],
      ]),
    );
  }

  /** Tokens of a call. */
  sizeOf(symbols: Sizes): number {
    return evaluateDim(this.#callSize ?? 0, symbols);
  }

  /** Tokens of the longest call that a schedule is for. */
  longest(when: PlanSchedule["when"]): number | undefined {
    const size = dimKey(this.#callSize ?? 0);
    return when.find(({ symbol }) => symbol === size)?.max;
  }

  /**
   * Moves the symbols on to a call with the one token that follows.
   * @returns whether there is room for it
   */
  advance(symbols: Sizes): boolean {
    const size = this.#callSize;
    if (size === undefined || this.#position === undefined) return false;
    const [name, { max }] = this.#position;
    const position = this.end(symbols);
    symbols.set(name, position);
    if (typeof size !== "number") symbols.set(dimKey(size), 1);
    return position <= max && this.#fullCache(symbols) === undefined && this.scheduleFor(symbols) >= 0;
  }

  /** The position after the last one of a call. */
  end(symbols: Sizes): number {
    return (symbols.get(this.#position?.[0] ?? "") ?? 0) + this.sizeOf(symbols);
  }

  #fullCache(symbols: Sizes) {
    return this.#caches.find(({ end, capacity }) => evaluateDim(end, symbols) > capacity);
  }
}
