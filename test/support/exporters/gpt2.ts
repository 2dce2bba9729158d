import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { float, int, ints } from "../onnx-writer.ts";
import { activate } from "./decoder.ts";
import { gemmLinear } from "./linears.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { TorchScriptWriter } from "./torchscript-writer.ts";
import { type Linear, Random, transposed } from "./weights.ts";

const lowest = -3.4028234663852886e38;

interface Affine {
  readonly scale: Tensor;
  readonly bias: Tensor;
}
interface Gpt2Layer {
  readonly norm1: Affine;
  readonly norm2: Affine;
  readonly qkv: Linear;
  readonly projection: Linear;
  readonly up: Linear;
  readonly down: Linear;
}
export interface Gpt2Weights {
  readonly tokens: Tensor;
  readonly positions: Tensor;
  readonly norm: Affine;
  readonly layers: readonly Gpt2Layer[];
}

export const gpt2Config = {
  layers: 2,
  hidden: 64,
  heads: 4,
  headDim: 16,
  vocab: 67,
  positions: 48,
  eps: 1e-5,
};
const { hidden, heads, headDim, eps } = gpt2Config;

export function gpt2Weights(seed = 2): Gpt2Weights {
  const random = new Random(seed);
  const affine = (): Affine => ({
    scale: random.floats([hidden], 0.3, 1),
    bias: random.floats([hidden], 0.3),
  });
  const linear = (outputs: number, inputs: number): Linear => ({
    weight: random.floats([outputs, inputs], 3 / Math.sqrt(inputs)),
    bias: random.floats([outputs], 0.3),
  });
  return {
    tokens: random.floats([gpt2Config.vocab, hidden], 1),
    positions: random.floats([gpt2Config.positions, hidden], 1),
    norm: affine(),
    layers: Array.from({ length: gpt2Config.layers }, () => ({
      norm1: affine(),
      norm2: affine(),
      qkv: linear(3 * hidden, hidden),
      projection: linear(hidden, hidden),
      up: linear(4 * hidden, hidden),
      down: linear(hidden, 4 * hidden),
    })),
  };
}

export interface Gpt2Options {
  /** LayerNormalization as one op, or as its steps. */
  readonly norm?: "op" | "steps";
  readonly positions?: "input" | "mask" | "past";
  readonly hasAttentionMask?: boolean;
  /** Keys and values stacked in one tensor a layer, as the first exports had them. */
  readonly stacksCache?: boolean;
  /** A score that is masked: the lowest float, or -10000. */
  readonly masked?: number;
  /** The triangle as bytes, as old checkpoints have it. */
  readonly triangle?: "bool" | "u8";
}

/** The shape of optimum's GPT-2: torch.onnx.export by tracing. */
export function torchScriptGpt2(weights: Gpt2Weights, options: Gpt2Options = {}): ExportedModel {
  const { norm = "op", positions = "input", hasAttentionMask = true, stacksCache = false } = options;
  const { masked = lowest, triangle = "bool" } = options;
  const w = new TorchScriptWriter(17);
  const ids = w.input("input_ids", "i64", ["batch_size", "sequence_length"]);
  const isGiven = positions === "input";
  const mask = hasAttentionMask
    ? w.input("attention_mask", "i64", ["batch_size", "past_sequence_length + sequence_length"])
    : undefined;
  const given = isGiven ? w.input("position_ids", "i64", ["batch_size", "sequence_length"]) : undefined;
  const kinds = stacksCache ? (["both"] as const) : (["key", "value"] as const);
  const rows = (length: string | number) => ["batch_size", heads, length, headDim];
  const shapeOf = (length: string | number) => (stacksCache ? [2, ...rows(length)] : rows(length));
  const nameOf = (prefix: string, layer: number, kind: string) =>
    kind === "both" ? `${prefix}_${layer}` : `${prefix}.${layer}.${kind}`;
  const inputs = weights.layers.map((_, i) =>
    kinds.map((kind) => w.input(nameOf("past_key_values", i, kind), "f32", shapeOf("past_sequence_length"))),
  );
  const pasts = inputs.map((given) =>
    stacksCache ? [0, 1].map((part) => w.op("Gather", [given[0], int(part)], { axis: 0 })) : given,
  );
  const S = w.size(ids, 1);
  const P = w.size(pasts[0]![0]!, 2);
  const T = w.op("Add", [S, P]);
  const positionIds =
    given ??
    (positions === "mask" ? fromMask(mask!) : w.reshape(w.op("Unsqueeze", [w.arange(P, T), ints(0)]), -1, S));

  const bias = mask && additive(mask);
  const size = gpt2Config.positions;
  const lower = Uint8Array.from({ length: size ** 2 }, (_, i) => Number(i % size <= Math.floor(i / size)));
  const buffer = w.initializer({ dtype: triangle, shape: [1, 1, size, size], data: lower });
  const presents: string[][] = [];

  let x = w.op("Add", [
    w.op("Gather", [weights.tokens, ids]),
    w.op("Gather", [weights.positions, positionIds]),
  ]);
  weights.layers.forEach((layer, index) => {
    const normed = layerNorm(x, layer.norm1);
    const [q, k, v] = w
      .outputs("Split", [gemmLinear(w, normed, layer.qkv), ints(hidden, hidden, hidden)], 3, { axis: 2 })
      .map((part) =>
        w.op("Transpose", [w.reshape(part, w.size(part, 0), w.size(part, 1), heads, headDim)], {
          perm: [0, 2, 1, 3],
        }),
      ) as [string, string, string];
    const [keys, values] = [k, v].map((part, i) =>
      w.op("Concat", [pasts[index]![i], part], { axis: -2 }),
    ) as [string, string];
    presents.push(
      stacksCache
        ? [
            w.op("Concat", [w.op("Unsqueeze", [keys, ints(0)]), w.op("Unsqueeze", [values, ints(0)])], {
              axis: 0,
            }),
          ]
        : [keys, values],
    );
    const product = w.op("MatMul", [q, w.op("Transpose", [keys], { perm: [0, 1, 3, 2] })]);
    const width = w.op("Sqrt", [w.cast(w.size(values, 3), "f32")]);
    const scaled = w.op("Div", [product, width]);
    const [queries, length] = [w.size(q, 2), w.size(keys, 2)];
    const from = w.op("Sub", [length, queries]);
    const cut = w.slice(w.slice(buffer, 2, from, length), 3, 0, length);
    const seen = triangle === "bool" ? cut : w.cast(cut, "bool");
    const causal = w.op("Where", [seen, scaled, float(masked)]);
    const scores = bias === undefined ? causal : w.op("Add", [causal, bias]);
    const mixed = w.op("MatMul", [w.op("Softmax", [scores], { axis: -1 }), values]);
    const heads2d = w.op("Transpose", [mixed], { perm: [0, 2, 1, 3] });
    const merged = w.reshape(heads2d, w.size(heads2d, 0), w.size(heads2d, 1), hidden);
    x = w.op("Add", [gemmLinear(w, merged, layer.projection), x]);
    const inner = activate(w, gemmLinear(w, layerNorm(x, layer.norm2), layer.up), "gelu");
    x = w.op("Add", [x, gemmLinear(w, inner, layer.down)]);
  });
  const logits = w.op("MatMul", [layerNorm(x, weights.norm), w.initializer(transposed(weights.tokens))]);
  w.output("logits", logits, "f32", ["batch_size", "sequence_length", gpt2Config.vocab]);
  const caches = presents.flatMap((present, i) =>
    kinds.map((kind, part) => {
      const name = nameOf("present", i, kind);
      w.output(name, present[part]!, "f32", shapeOf("past_sequence_length + sequence_length"));
      const empty = shapeOf(0).map((each) => (each === "batch_size" ? 1 : each)) as number[];
      return { past: nameOf("past_key_values", i, kind), present: name, empty: tensor("f32", empty) };
    }),
  );
  const feed = feedByName({
    input_ids: "i64",
    ...(hasAttentionMask && { attention_mask: "i64" }),
    ...(isGiven && { position_ids: "i64" }),
  });
  return { source: w.source, feed, caches };

  function layerNorm(y: string, { scale, bias: offset }: Affine): string {
    if (norm === "op") return w.op("LayerNormalization", [y, scale, offset], { axis: -1, epsilon: eps });
    const mean = (z: string) => w.op("ReduceMean", [z], { axes: [-1], keepdims: 1 });
    const centred = w.op("Sub", [y, mean(y)]);
    const variance = mean(w.op("Pow", [centred, float(2)]));
    const normed = w.op("Div", [centred, w.op("Sqrt", [w.op("Add", [variance, float(eps)])])]);
    return w.op("Add", [w.op("Mul", [normed, scale]), offset]);
  }

  /** (1 - mask) · lowest, [B, 1, 1, T] */
  function additive(given: string): string {
    const flat = w.reshape(given, w.size(ids, 0), -1);
    const wide = w.cast(w.op("Unsqueeze", [w.op("Unsqueeze", [flat, ints(1)]), ints(2)]), "f32");
    return w.op("Mul", [w.op("Sub", [float(1), wide]), float(lowest)]);
  }

  /** Positions counted over what the mask keeps, those of this call. */
  function fromMask(given: string): string {
    const counted = w.op("Sub", [w.op("CumSum", [given, int(1)]), int(1)]);
    const filled = w.op("Where", [w.op("Equal", [given, int(0)]), int(1), counted]);
    return w.slice(filled, 1, P, 2 ** 63);
  }
}
