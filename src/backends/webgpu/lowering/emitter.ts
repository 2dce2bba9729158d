import type { Node, Value } from "../../../ir/graph.ts";
import type { StepClass } from "../../../runtime/webgpu/plan.ts";
import { alignUp } from "../../../tensor/align.ts";
import { type Dim, maxOf, productOf } from "../../../tensor/dim.ts";
import type { Kernel, KernelCode } from "../kernel.ts";
import { copyRows } from "../kernels/copy-rows/kernel.ts";
import type { Target } from "../target.ts";
import {
  type ConstantPool,
  type ConstantRows,
  constantRows,
  type Memory,
  type Slice,
  wholeOf,
} from "./buffers.ts";
import { origin } from "./memory.ts";
import type { Schedule } from "./schedule.ts";

/** A dispatch whose memory has no place yet. */
export interface Step {
  readonly kernel: string;
  readonly class: StepClass;
  readonly source: string;
  readonly code: KernelCode;
  /** By the names of the kernel's bindings. */
  readonly bindings: Readonly<Record<string, Slice>>;
}

/** Where a value's rows are when they are parts of wider rows, in elements. */
export interface RowsOf {
  readonly slice: Slice;
  readonly stride: number;
  readonly offset: number;
}

/** Memory that the steps of all schedules of a variant have in common. */
export interface SharedMemory {
  readonly constants: ConstantPool;
  readonly states: ReadonlyMap<Value, Memory>;
  readonly inputs: ReadonlyMap<Value, Memory>;
  readonly outputs: ReadonlyMap<Value, Memory>;
}

/** No kernel computes a node with its sizes. */
export class KernelRefusal extends Error {
  readonly node: Node;
  /** @param why a sentence */
  constructor(node: Node, why: string) {
    super(why);
    this.node = node;
  }
}

/** Takes down the steps of one schedule, and where each value is. */
export class Emitter {
  readonly schedule: Schedule;
  readonly target: Target;
  readonly steps: Step[] = [];
  readonly #memory: SharedMemory;
  readonly #slices = new Map<Value, Slice>();
  readonly #rows = new Map<Value, RowsOf>();

  constructor(schedule: Schedule, target: Target, memory: SharedMemory) {
    this.schedule = schedule;
    this.target = target;
    this.#memory = memory;
  }

  /** A size of the graph in this schedule. */
  size(dim: Dim): Dim {
    return this.schedule.size(dim);
  }

  shape(value: Value): readonly Dim[] {
    return value.type.shape.map((dim) => this.size(dim));
  }

  /** Rows of a value: the product of all sizes but the last. */
  rowCount(value: Value): Dim {
    return productOf(this.shape(value).slice(0, -1));
  }

  /** All elements of a value. */
  elementCount(value: Value): Dim {
    return productOf(this.shape(value));
  }

  /** Memory for the largest number of 4-byte elements that a value of this shape may have. */
  scratch(...shape: readonly Dim[]): Slice {
    const size = alignUp(Math.max(4, 4 * maxOf(productOf(shape))), 16);
    return wholeOf({ kind: "scratch", size });
  }

  constants(rows: readonly ConstantRows[]): Slice {
    return this.#memory.constants.slice(rows);
  }

  /** Where a value's elements are, row-major. */
  read(value: Value): Slice {
    const known = this.#slices.get(value);
    if (known !== undefined) return known;
    if (value.def.kind === "const") return this.constants([constantRows(value)]);
    const memory = this.#memory.inputs.get(value) ?? this.#memory.states.get(value);
    if (memory === undefined) throw new Error(`nothing has computed value ${value.id} yet`);
    return wholeOf(memory);
  }

  /** Where the rows of a value [..., width] are, when they may be parts of wider ones. */
  rows(value: Value): RowsOf {
    const width = maxOf(value.type.shape.at(-1)!);
    return this.#rows.get(value) ?? { slice: this.read(value), stride: width, offset: 0 };
  }

  /** New memory for a value: an output's own, where it is one. */
  define(value: Value): Slice {
    const output = this.#memory.outputs.get(origin(value));
    const slice = output === undefined ? this.scratch(...this.shape(value)) : wholeOf(output);
    this.#slices.set(value, slice);
    return slice;
  }

  /** A value is in memory that is there already. */
  place(value: Value, slice: Slice): void {
    this.#slices.set(value, slice);
  }

  placeRows(value: Value, rows: RowsOf): void {
    this.#rows.set(value, rows);
  }

  /** Whether a value has an output's memory, itself or under another shape. */
  isOutput(value: Value): boolean {
    return this.#memory.outputs.has(value);
  }

  dispatch<P extends object>(
    kernel: Kernel<P>,
    params: P,
    bindings: Readonly<Record<string, Slice>>,
    node: Node,
  ): void {
    const refusal = kernel.supports?.(params, this.target);
    if (refusal !== undefined) throw new KernelRefusal(node, refusal);
    const code = kernel.build(params, this.target);
    const bound = this.#apart(code, bindings, node);
    this.steps.push({
      kernel: kernel.name,
      class: kernel.class,
      source: node.loc.source,
      code,
      bindings: bound,
    });
  }

  /**
   * WebGPU lets a dispatch show memory that it may write to once only: what is an input twice, under another shape
   * say, is copied.
   */
  #apart(
    { bindings: needed }: KernelCode,
    bindings: Readonly<Record<string, Slice>>,
    node: Node,
  ): Readonly<Record<string, Slice>> {
    const shown = new Set<Memory>();
    const apart: Record<string, Slice> = {};
    for (const { name, access } of needed) {
      if (access === "symbols") continue;
      const slice = bindings[name];
      if (slice === undefined) throw new Error(`${node.loc.source} has no memory for ${name}`);
      const isTwice = access === "value" && shown.has(slice.memory);
      apart[name] = isTwice ? this.#copy(slice, node) : slice;
      shown.add(slice.memory);
    }
    return apart;
  }

  #copy(slice: Slice, node: Node): Slice {
    const width = slice.size / 4;
    const out = this.scratch(width);
    this.dispatch(copyRows, { rows: 1, width, first: 0 }, { x: slice, out }, node);
    return out;
  }
}
