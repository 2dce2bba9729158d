import type { Value } from "../../ir/graph.ts";
import { castWeight, streamRows, type WeightRef } from "../../ir/weights.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { roundToDType } from "../../tensor/tensor.ts";
import { definePass } from "../pass.ts";

/**
 * Stores embeddings, heads and dense linears in 16 bits. By default only where that is exact: a table that came
 * from bf16 or f16 goes back to it, and one that needs f32 keeps it. What has been quantised is left alone.
 */
export const narrowWeights = definePass({
  name: "narrow-weights",
  doc: "Embedding, head and dense weights take the smallest float type that holds them, or the one asked for.",
  async run(graph, { options }) {
    const b = graph.edit("narrow-weights");
    const narrowed = new Map<Value, Value>();
    for (const node of graph.nodes) {
      const name = node.op === "nn.embedding" ? "table" : node.op === "nn.linear" ? "weight" : undefined;
      if (name === undefined) continue;
      const weight = node.arg(name);
      if (weight.def.kind !== "const" || weight.def.data.inline || !isFloat(weight.def.data.dtype)) continue;
      if (!narrowed.has(weight)) {
        const { embedding } = options;
        const dtype =
          embedding === "auto" || embedding === "q8" ? await smallestExact(weight.def.data) : embedding;
        narrowed.set(
          weight,
          dtype === weight.type.dtype ? weight : b.constant(castWeight(weight.def.data, dtype)),
        );
      }
      b.replace(
        node.results[0]!,
        b.untyped(node.op, { ...node.args, [name]: narrowed.get(weight)! }, node.attrs)[0]!,
      );
    }
  },
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
