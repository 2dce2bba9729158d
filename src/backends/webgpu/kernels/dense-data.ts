import { encodeElements, type Tensor, tensor } from "../../../tensor/tensor.ts";
import { randomFloats, randomIntegers } from "../case-data.ts";
import { type DenseStorage, rowBytes } from "../floats.ts";

/** A dense weight [rows, depth] for cases: as the reference kernels take it, and as the GPU does. */
export interface DenseData {
  readonly weight: Tensor;
  readonly scale: Tensor | undefined;
  /** The words of some rows, as a binding shows them. */
  words(first: number, count: number): Uint32Array<ArrayBuffer>;
}

export function denseData(seed: number, storage: DenseStorage, rows: number, depth: number): DenseData {
  const count = rows * depth;
  const dtype = storage === "q8" ? "i8" : storage;
  const values = storage === "q8" ? randomIntegers(seed, count, -127, 127) : randomFloats(seed, count);
  const weight = tensor(dtype, [rows, depth], Array.from(values));
  const bytes = encodeElements(dtype, weight.data);
  const size = rowBytes(storage, depth);
  return {
    weight,
    scale: storage === "q8" ? tensor("f32", [rows], randomFloats(seed + 1, rows, 0.01)) : undefined,
    words(first, count) {
      const words = new Uint32Array(Math.ceil((count * size) / 4));
      new Uint8Array(words.buffer).set(bytes.subarray(first * size, (first + count) * size));
      return words;
    },
  };
}
