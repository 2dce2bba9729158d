import { Pcg32 } from "../../runtime/random.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Elements } from "./kernel-case.ts";

/** Numbers in [-range, range), the same for the same seed. */
export function randomFloats(seed: number, count: number, range = 1): Float32Array<ArrayBuffer> {
  const random = new Pcg32(BigInt(seed));
  return Float32Array.from({ length: count }, () => (2 * random.uniform() - 1) * range);
}

/** Integers from `min` to `max`, inclusive. */
export function randomIntegers(
  seed: number,
  count: number,
  min: number,
  max: number,
): Int32Array<ArrayBuffer> {
  const random = new Pcg32(BigInt(seed));
  return Int32Array.from({ length: count }, () => min + Math.floor(random.uniform() * (max - min + 1)));
}

/** What a buffer holds that a shader must overwrite. */
export const rubbish = (count: number): Float32Array<ArrayBuffer> => new Float32Array(count).fill(-12345.5);

/** What a case holds in a binding, for a reference kernel. */
export const f32 = (elements: Elements, ...shape: number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: elements as Float32Array<ArrayBuffer>,
});
