import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { roundingMagic } from "../runtime/cpu/kernels/quantize.ts";
import type { TensorData } from "../tensor/tensor.ts";
import { mapRows, placeOf, rowSize, rowsOfWeight, streamRows, type WeightRef } from "./weights.ts";

/*
 * q8: a matrix [N, K] as int8 codes and one scale a row, symmetric about 0. With every step rounded to f32,
 *
 *     scale[n] = max|w[n]| / 127
 *     q[n, k]  = clamp(round_half_even(w[n, k] / scale[n]), -127, 127)
 *
 * so that w ≈ q · scale, at most half a scale away. A row of zeros, or of numbers so small that their scale is 0 in
 * f32, has scale 1 and codes 0: w / scale is then always defined, and the row stays zero.
 */
const largestCode = 127;

/**
 * The scale of `count` weights.
 * @throws BitnetcError `weight-not-finite`
 */
function scaleOf(ref: WeightRef, data: TensorData, from: number, count: number): number {
  let largest = 0;
  let total = 0;
  for (let i = from; i < from + count; i++) {
    const magnitude = Math.abs(Math.fround(data[i]!));
    total += magnitude;
    if (magnitude > largest) largest = magnitude;
  }
  if (!Number.isFinite(total)) throw new BitnetcError(diagnostics.weightNotFinite(placeOf(ref)));
  return Math.fround(largest / largestCode) || 1;
}

/**
 * The int8 codes of a matrix's rows.
 * @param ref float [N, K]
 * @returns i8 [N, K]; reading it fails with a BitnetcError `weight-not-finite`
 */
export const q8Codes = (ref: WeightRef): WeightRef =>
  mapRows(ref, "q8 codes", { dtype: "i8", shape: ref.shape }, ({ shape, data }) => {
    const columns = rowSize(ref);
    const codes = new Int8Array(data.length);
    for (let from = 0; from < data.length; from += columns) {
      const scale = scaleOf(ref, data, from, columns);
      for (let i = from; i < from + columns; i++) {
        const scaled = Math.fround(Math.fround(data[i]!) / scale) + roundingMagic - roundingMagic;
        // a scale that is subnormal has few digits, so that a quotient can be over 127
        codes[i] = Math.max(-largestCode, Math.min(largestCode, scaled));
      }
    }
    return { dtype: "i8", shape, data: codes };
  });

/**
 * The scales that go with `q8Codes`, computed from the same rows: a few of the matrix at a time.
 * @param ref float [N, K]
 * @returns f32 [N]; reading it fails with a BitnetcError `weight-not-finite`
 */
export function q8Scales(ref: WeightRef): WeightRef {
  const columns = rowSize(ref);
  return {
    id: `${ref.id} | q8 scales`,
    dtype: "f32",
    shape: ref.shape.slice(0, 1),
    rows: async (from, to) => {
      const scales = new Float32Array(to - from);
      let row = 0;
      for await (const { shape, data } of streamRows(rowsOfWeight(ref, from, to)))
        for (let i = 0; i < shape[0]!; i++, row++) scales[row] = scaleOf(ref, data, i * columns, columns);
      return { dtype: "f32", shape: [to - from], data: scales };
    },
  };
}
