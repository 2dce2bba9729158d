import type { Tensor } from "../../../src/tensor/tensor.ts";
import { type NaiveDecoder, type NaiveLinear, naiveLogits } from "../../checkpoint/naive-decoder.ts";
import { inverseFrequencies, type Linear, type LlamaWeights } from "./weights.ts";

const rowsOf = ({ shape, data }: Tensor): number[][] => {
  const width = shape[1]!;
  return Array.from({ length: shape[0]! }, (_, row) =>
    Array.from(data.subarray(row * width, (row + 1) * width)),
  );
};
const vector = ({ data }: Tensor): number[] => Array.from(data);

const activations = {
  silu: (x: number) => x / (1 + Math.exp(-x)),
  relu2: (x: number) => Math.max(x, 0) ** 2,
  gelu: (x: number) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};

/** Logits of every position by the published formulas, in f64; BitNet's activations in int8. */
export function expectedLogits(weights: LlamaWeights, ids: readonly number[]): number[][] {
  const { config, embedding, head, norm, layers } = weights;
  const linear = ({ weight, scale, bias }: Linear): NaiveLinear => ({
    rows: rowsOf(weight),
    ...(scale !== undefined && { scale: scale as number }),
    ...(bias && { bias: vector(bias) }),
  });
  const model: NaiveDecoder = {
    heads: config.heads,
    keyValueHeads: config.keyHeads,
    headDim: config.headDim,
    eps: config.eps,
    inverseFrequencies: inverseFrequencies(config),
    activation: activations[config.activation],
    embedding: rowsOf(embedding),
    head: { rows: rowsOf(head) },
    norm: vector(norm),
    layers: layers.map((layer) => ({
      linears: {
        q: linear(layer.q),
        k: linear(layer.k),
        v: linear(layer.v),
        o: linear(layer.o),
        gate: linear(layer.gate),
        up: linear(layer.up),
        down: linear(layer.down),
      },
      inputNorm: vector(layer.inputNorm),
      postNorm: vector(layer.postNorm),
      ...(layer.attentionSubNorm && { attentionSubNorm: vector(layer.attentionSubNorm) }),
      ...(layer.mlpSubNorm && { mlpSubNorm: vector(layer.mlpSubNorm) }),
      ...(layer.qNorm && { qNorm: vector(layer.qNorm) }),
      ...(layer.kNorm && { kNorm: vector(layer.kNorm) }),
    })),
  };
  return naiveLogits(model, ids);
}
