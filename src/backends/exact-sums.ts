import { inlineWeight, mapRows, type WeightRef } from "../ir/weights.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Sums of int8 times ternary are exact in f32 up to this many terms. */
export const longestExactSum = Math.floor(2 ** 24 / 127);

const reciprocal = (chunk: Tensor): Tensor => ({
  ...chunk,
  data: Float32Array.from(chunk.data, (value) => 1 / value),
});

/** 1/w, rounded to f32: BitLinear in transformers divides by the product of s and this. */
export const reciprocalWeight = (ref: WeightRef): WeightRef =>
  ref.inline
    ? inlineWeight(reciprocal(ref.inline))
    : mapRows(ref, "reciprocal", { dtype: "f32", shape: ref.shape }, reciprocal);
