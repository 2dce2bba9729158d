import type { BufferRange, Plan, PlanBuffer, PlanPipeline, PlanStep } from "../../../runtime/webgpu/plan.ts";
import type { Memory, Slice } from "../lowering/buffers.ts";
import type { Step } from "../lowering/emitter.ts";
import { symbolOrder } from "../wgsl.ts";
import type { Arena } from "./arena.ts";

/** The tables of a plan that its steps refer to; what is the same is in them once. */
export class PlanTables {
  readonly #modules = new Table<string>((wgsl) => wgsl);
  readonly #pipelines = new Table<PlanPipeline>(({ module, label }) => `${module} ${label}`);
  readonly #buffers = new Table<PlanBuffer>((buffer) => JSON.stringify(buffer));
  readonly #memories = new Map<Memory, number>();

  step(step: Step, arena: Arena): PlanStep {
    const { kernel, source, code, bindings } = step;
    const module = this.#modules.index(code.wgsl);
    const access = code.bindings.map((binding) => binding.access);
    const shown = code.bindings.filter((binding) => binding.access !== "symbols");
    return {
      kernel,
      class: step.class,
      source,
      pipeline: this.#pipelines.index({ label: kernel, module, bindings: access }),
      bindings: shown.map(({ name }) => this.#range(bindings[name]!, arena)),
      workgroups: code.workgroups,
    };
  }

  #range({ memory, offset, size }: Slice, arena: Arena): BufferRange {
    let buffer = this.#memories.get(memory);
    if (buffer === undefined) {
      buffer = this.#buffers.index(
        memory.kind === "scratch"
          ? { kind: "scratch", offset: arena.offsets.get(memory)!, size: memory.size }
          : memory,
      );
      this.#memories.set(memory, buffer);
    }
    return { buffer, offset, size };
  }

  finish(variants: Plan["variants"]): Plan {
    return {
      symbols: symbolOrder,
      modules: this.#modules.entries,
      pipelines: this.#pipelines.entries,
      buffers: this.#buffers.entries,
      variants,
    };
  }
}

/** Distinct things by number, in the order in which they first came. */
class Table<T> {
  readonly entries: T[] = [];
  readonly #indices = new Map<string, number>();
  readonly #keyOf: (entry: T) => string;

  constructor(keyOf: (entry: T) => string) {
    this.#keyOf = keyOf;
  }

  index(entry: T): number {
    const key = this.#keyOf(entry);
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.entries.push(entry) - 1;
      this.#indices.set(key, index);
    }
    return index;
  }
}
