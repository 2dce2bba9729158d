import { backends } from "../../backends/index.ts";
import { q4Parts } from "../../ir/q4.ts";
import { castWeight, streamRows, type WeightRef } from "../../ir/weights.ts";
import { type DType, isDType, isFloat } from "../../tensor/dtype.ts";
import { roundToDType } from "../../tensor/tensor.ts";
import { definePass } from "../pass.ts";
import { mapWeights } from "./map-weights.ts";

/**
 * Stores embeddings, heads and dense linears in 16 bits. By default only where that is exact: a table that came
 * from bf16 or f16 goes back to it, and one that needs f32 keeps it. What has been quantised is left alone.
 */
export const narrowWeights = definePass({
  name: "narrow-weights",
  doc: "Embedding, head and dense weights take the smallest float type that holds them, or the one asked for, or f32 where the backend has no other.",
  run: (graph, { options: { embedding, backend } }) =>
    mapWeights(graph, "narrow-weights", ["embedding", "dense"], async (weight) => {
      if (weight.inline || !isFloat(weight.dtype) || q4Parts(weight)) return weight;
      if (isDType(embedding)) return castWeight(weight, embedding);
      return castWeight(weight, backends[backend].narrowsFloats ? await smallestExact(weight) : "f32");
    }),
});

/** The smallest of f16, bf16 and f32 that every element survives; f16 first, for GPUs have it. */
async function smallestExact(ref: WeightRef): Promise<DType> {
  const candidates = new Set<DType>(["f16", "bf16"]);
  for await (const { data } of streamRows(ref)) {
    for (const dtype of candidates) {
      const rounded = Float32Array.from(data);
      roundToDType(dtype, rounded);
      if (rounded.some((value, i) => !Object.is(value, data[i]))) candidates.delete(dtype);
    }
    if (candidates.size === 0) return ref.dtype;
  }
  return [...candidates][0]!;
}
