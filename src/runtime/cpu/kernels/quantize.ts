import type { TensorData } from "../../../tensor/tensor.ts";

/** The largest code, and the smallest absmax, as f32 holds it. */
const largestCode = 127;
const smallestAbsmax = Math.fround(1e-5);
/** Adding and subtracting 1.5 · 2^52 rounds an f64 of less than 2^51 to an integer, halves to even. */
export const roundingMagic = 6755399441055744;

/**
 * Quantises `count` numbers to int8 codes by their largest magnitude: s = 127 / max(max|x|, 1e-5),
 * codes = clamp(round_half_even(x · s), -128, 127), each step rounded to f32 as the models were trained.
 * @returns s; NaN, with codes of 0, where one of the numbers is not finite
 */
export function quantizeRow(
  x: TensorData,
  from: number,
  count: number,
  codes: Float32Array | Float64Array,
  to: number,
): number {
  let absmax = smallestAbsmax;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const magnitude = Math.abs(Math.fround(x[from + i]!));
    total += magnitude;
    if (magnitude > absmax) absmax = magnitude;
  }
  if (!Number.isFinite(total)) {
    codes.fill(0, to, to + count);
    return Number.NaN;
  }
  const scale = Math.fround(largestCode / absmax);
  for (let i = 0; i < count; i++) {
    // |x · s| is at most 127 and a rounding error, so that there is nothing to clamp
    codes[to + i] = Math.fround(Math.fround(x[from + i]!) * scale) + roundingMagic - roundingMagic;
  }
  return scale;
}
