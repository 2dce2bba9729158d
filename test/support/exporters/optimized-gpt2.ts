import { tensor } from "../../../src/tensor/tensor.ts";
import { OnnxWriter } from "../onnx-writer.ts";
import { type Gpt2Weights, gpt2Config } from "./gpt2.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { type Linear, transposed } from "./weights.ts";

/**
 * The shape that onnxruntime's transformer optimizer gives to a GPT-2: fused attention with keys and values in
 * one tensor a layer, norms that add, and an activation with its bias.
 */
export function optimizedGpt2(weights: Gpt2Weights): ExportedModel {
  const { heads, headDim, vocab, eps } = gpt2Config;
  const w = new OnnxWriter({ opset: 17, domains: { "com.microsoft": 1 } });
  const ids = w.input("input_ids", "i32", ["batch_size", "seq_len"]);
  const positions = w.input("position_ids", "i32", ["batch_size", "seq_len"]);
  const mask = w.input("attention_mask", "i32", ["batch_size", "total_seq_len"]);
  const pasts = weights.layers.map((_, i) =>
    w.input(`past_${i}`, "f32", [2, "batch_size", heads, "past_seq_len", headDim]),
  );
  const matmul = (x: string, { weight }: Linear) => w.op("MatMul", [x, w.initializer(transposed(weight))]);
  const first = weights.layers[0]!;
  let sum = w.op("Add", [
    w.op("Gather", [weights.tokens, ids]),
    w.op("Gather", [weights.positions, positions]),
  ]);
  let normed = w.op("LayerNormalization", [sum, first.norm1.scale, first.norm1.bias], {
    axis: -1,
    epsilon: eps,
  });
  weights.layers.forEach((layer, i) => {
    const { qkv, projection, up, down } = layer;
    const [mixed, present] = w.outputs(
      "com.microsoft::Attention",
      [normed, w.initializer(transposed(qkv.weight)), qkv.bias, mask, pasts[i]],
      2,
      { num_heads: heads, unidirectional: 1 },
    ) as [string, string];
    w.output(`present_${i}`, present, "f32", [2, "batch_size", heads, "total_seq_len", headDim]);
    const addAndNorm = (x: string, delta: string, scale: Gpt2Weights["norm"], bias: Linear["bias"]) => {
      const [y, , , total] = w.outputs(
        "com.microsoft::SkipLayerNormalization",
        [x, delta, scale.scale, scale.bias, bias],
        4,
        { epsilon: eps },
      ) as [string, string, string, string];
      return [total, y] as const;
    };
    [sum, normed] = addAndNorm(sum, matmul(mixed, projection), layer.norm2, projection.bias);
    const inner = w.op("com.microsoft::FastGelu", [matmul(normed, up), up.bias]);
    [sum, normed] = addAndNorm(
      sum,
      matmul(inner, down),
      weights.layers[i + 1]?.norm1 ?? weights.norm,
      down.bias,
    );
  });
  const logits = w.op("MatMul", [normed, w.initializer(transposed(weights.tokens))]);
  w.output("logits", logits, "f32", ["batch_size", "seq_len", vocab]);
  const caches = weights.layers.map((_, i) => ({
    past: `past_${i}`,
    present: `present_${i}`,
    empty: tensor("f32", [2, 1, heads, 0, headDim]),
  }));
  const feed = feedByName({ input_ids: "i32", position_ids: "i32", attention_mask: "i32" });
  return { source: w.source, feed, caches };
}
