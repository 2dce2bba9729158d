import type { DType } from "../../../tensor/dtype.ts";
import {
  decodeElements,
  elementCount,
  elementsAt,
  encodeElements,
  type Tensor,
  type TensorData,
} from "../../../tensor/tensor.ts";

/** Where a tensor's elements lie. */
export interface Place {
  readonly buffer: ArrayBuffer;
  /** In bytes. */
  readonly offset: number;
}

/** A tensor of a method: a type, a shape that may change up to a bound, and a place in memory that others may share. */
export class TensorCell {
  readonly dtype: DType;
  readonly #bound: readonly number[];
  readonly #isDynamic: boolean;
  #shape: readonly number[];
  #place: Place | undefined;
  #memory: TensorData | undefined;
  #constant: Tensor | undefined;

  /** @param bound the shape, or where it is dynamic the largest one */
  constructor(dtype: DType, bound: readonly number[], isDynamic: boolean, place?: Place) {
    this.dtype = dtype;
    this.#bound = bound;
    this.#isDynamic = isDynamic;
    this.#shape = bound;
    if (place !== undefined) this.#moveTo(place);
  }

  /** One that nothing writes. */
  static constant(tensor: Tensor): TensorCell {
    const made = new TensorCell(tensor.dtype, tensor.shape, false);
    made.#constant = tensor;
    return made;
  }

  get shape(): readonly number[] {
    return this.#shape;
  }

  /** Its elements as they are now: mostly its memory itself, which the next write changes. */
  get tensor(): Tensor {
    if (this.#constant !== undefined) return this.#constant;
    const { dtype, shape } = this;
    const memory = this.#memory;
    if (memory === undefined) throw new RangeError("A tensor is read that has no memory.");
    const count = elementCount(shape);
    if (!isHalf(dtype)) return { dtype, shape, data: memory.subarray(0, count) };
    const bytes = new Uint8Array(memory.buffer, memory.byteOffset, 2 * count);
    return { dtype, shape, data: decodeElements(dtype, bytes, count) };
  }

  /** Takes a tensor's shape and elements. @throws RangeError when its type is another or its shape does not fit */
  write({ dtype, shape, data }: Tensor): void {
    if (dtype !== this.dtype)
      throw new RangeError(`Its result is ${dtype} and goes to a tensor of ${this.dtype}.`);
    this.resize(shape);
    const memory = this.#memory;
    if (memory === undefined) throw new RangeError("A tensor is written that has no memory.");
    if (isHalf(dtype)) new Uint8Array(memory.buffer, memory.byteOffset).set(encodeElements(dtype, data));
    else memory.set(data);
  }

  /** Makes it a view of another's elements. */
  alias(base: TensorCell, shape: readonly number[]): void {
    if (base.dtype !== this.dtype) throw new RangeError(`A view of ${base.dtype} cannot be ${this.dtype}.`);
    this.resize(shape);
    this.#constant = base.#constant && { ...base.#constant, shape };
    if (base.#place !== undefined) this.#moveTo(base.#place);
  }

  /** @throws RangeError when it is static and the shape another, or there is no room */
  resize(shape: readonly number[]): void {
    const bound = this.#bound;
    const fits = this.#isDynamic
      ? shape.length === bound.length && elementCount(shape) <= elementCount(bound)
      : shape.length === bound.length && shape.every((size, axis) => size === bound[axis]);
    if (!fits) {
      const room = `${this.#isDynamic ? "at most " : ""}[${bound.join(", ")}]`;
      throw new RangeError(`Its result is [${shape.join(", ")}] and goes to a tensor of ${room}.`);
    }
    this.#shape = shape;
  }

  #moveTo(place: Place): void {
    const { dtype } = this;
    this.#place = place;
    const held = isHalf(dtype) ? "u16" : dtype;
    this.#memory = elementsAt(held, place.buffer, place.offset, elementCount(this.#bound));
  }
}

/** 16-bit floats lie in memory as in files: computing needs them widened. */
const isHalf = (dtype: DType): boolean => dtype === "f16" || dtype === "bf16";
