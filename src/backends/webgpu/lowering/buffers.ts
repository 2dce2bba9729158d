import type { Value } from "../../../ir/graph.ts";
import type { PlanBuffer, WeightLayout, WeightPart } from "../../../runtime/webgpu/plan.ts";
import { alignUp } from "../../../tensor/align.ts";
import { bitsPerElement, isTernaryBlock } from "../../../tensor/dtype.ts";
import { blocksOf, blockWeights } from "../kernels/ternary.ts";

/** Memory that steps bind, before it has a place: those of one kind and contents are one object. */
export type Memory = Exclude<PlanBuffer, { kind: "scratch" }> | Scratch;

/** Memory for a value that is needed for some steps only. */
export interface Scratch {
  readonly kind: "scratch";
  readonly size: number;
}

/** A part of some memory, in bytes. */
export interface Slice {
  readonly memory: Memory;
  readonly offset: number;
  readonly size: number;
}

/** The symbols are four words; a candidate is an id and a logit. */
export const bytesOf = (memory: Memory): number =>
  "size" in memory ? memory.size : memory.kind === "symbols" ? 16 : 8 * memory.count;

export const wholeOf = (memory: Memory): Slice => ({ memory, offset: 0, size: bytesOf(memory) });

/** Where bindings may begin, in bytes: WebGPU's default `minStorageBufferOffsetAlignment`. */
export const bindingAlignment = 256;

/** Constants up to this size share a buffer, so that a model does not need hundreds of small ones. */
const smallConstant = 1 << 16;

/** Rows of a constant, as they lie in GPU memory. */
export interface ConstantRows {
  readonly value: Value;
  readonly layout: WeightLayout;
  /** In bytes, within the constant. */
  readonly from: number;
  readonly size: number;
}

/** All of a constant. */
export function constantRows(value: Value): ConstantRows {
  const { dtype, shape } = value.type;
  if (isTernaryBlock(dtype)) {
    const [rows, depth] = shape as readonly [number, number];
    return { value, layout: "ternary-codes", from: 0, size: (rows * blocksOf(depth) * blockWeights) / 4 };
  }
  const elements = (shape as readonly number[]).reduce((product, size) => product * size, 1);
  const bits = dtype === "i64" || dtype === "bool" ? 32 : bitsPerElement(dtype);
  return { value, layout: "plain", from: 0, size: Math.ceil((elements * bits) / 8) };
}

/** Constants in GPU memory. What several steps or variants need in the same form is there once. */
export class ConstantPool {
  readonly #numbers: ReadonlyMap<Value, number>;
  readonly #slices = new Map<string, Slice>();
  readonly #small: { kind: "weights"; size: number; parts: WeightPart[] } = {
    kind: "weights",
    size: 0,
    parts: [],
  };

  /** @param numbers of the graph's values in the program */
  constructor(numbers: ReadonlyMap<Value, number>) {
    this.#numbers = numbers;
  }

  /** Constants one behind the other, each where a word begins. */
  slice(constants: readonly ConstantRows[]): Slice {
    const parts: WeightPart[] = [];
    let size = 0;
    for (const { value, ...rest } of constants) {
      parts.push({ value: this.#numbers.get(value)!, ...rest, offset: size });
      size = alignUp(size + rest.size, 4);
    }
    const key = JSON.stringify(parts);
    const known = this.#slices.get(key);
    if (known !== undefined) return known;
    const made =
      size <= smallConstant ? this.#addSmall(parts, size) : wholeOf({ kind: "weights", size, parts });
    this.#slices.set(key, made);
    return made;
  }

  #addSmall(parts: readonly WeightPart[], size: number): Slice {
    const offset = alignUp(this.#small.size, bindingAlignment);
    this.#small.parts.push(...parts.map((part) => ({ ...part, offset: offset + part.offset })));
    this.#small.size = offset + size;
    return { memory: this.#small, offset, size };
  }
}
