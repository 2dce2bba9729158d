import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { dataTypes, int, ints, OnnxWriter } from "../onnx-writer.ts";
import { writeDecoder } from "./decoder.ts";
import { type LinearWriter, matmulLinear } from "./linears.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { inverseFrequencies, type Layer, type LlamaWeights, rotaryTables } from "./weights.ts";

export interface Opset23Options {
  readonly linear?: LinearWriter;
  /** Heads side by side, [B, S, H·D], or apart, [B, H, S, D]. */
  readonly layout?: "flat" | "heads";
  /** Rows of cos and sin for this call, or tables of all positions and the positions. */
  readonly rotary?: "rows" | "tables";
  /** Causality as an attribute, or as a mask of bools. */
  readonly causality?: "attribute" | "mask";
  /** A cache of this many rows that TensorScatter writes to; keys in use are told by their number, or by a mask. */
  readonly scatter?: { readonly rows: number; readonly visible: "lengths" | "derived" | "mask" };
}

/** The shape of a model written with the ops of opset 23 and 24. */
export function opset23Llama(weights: LlamaWeights, options: Opset23Options = {}): ExportedModel {
  const {
    linear = matmulLinear,
    layout = "heads",
    rotary = "rows",
    causality = "attribute",
    scatter,
  } = options;
  const { config } = weights;
  const { heads, keyHeads, headDim, layers, eps } = config;
  const w = new OnnxWriter({ opset: scatter ? 24 : 23 });
  const ids = w.input("input_ids", "i64", ["batch", "sequence"]);
  const positions = scatter ? undefined : w.input("position_ids", "i64", ["batch", "sequence"]);
  const writeAt = scatter && w.input("write_indices", "i64", ["batch"]);
  const givenLengths = scatter?.visible === "lengths" ? w.input("lengths", "i64", ["batch"]) : undefined;
  const rowsOfCache = scatter?.rows ?? "past";
  /** TensorScatter takes rows as they come from the projection. */
  const cacheShape = (batch: string | number, rows: string | number): (string | number)[] =>
    scatter && layout === "flat" ? [batch, rows, keyHeads * headDim] : [batch, keyHeads, rows, headDim];
  const pasts = Array.from({ length: layers }, (_, i) =>
    (["key", "value"] as const).map((kind) =>
      w.input(`past_${kind}_${i}`, "f32", cacheShape("batch", rowsOfCache)),
    ),
  );
  const sequence = w.op("Shape", [ids], { start: 1, end: 2 });
  const steps = w.op("Range", [int(0), w.op("Squeeze", [sequence]), int(1)]);
  const positionIds = positions ?? w.op("Unsqueeze", [w.op("Add", [steps, writeAt!]), ints(0)]);
  const tables = rotaryTables(config);
  const frequencies = tensor("f32", [config.rotaryDim / 2], inverseFrequencies(config));
  const wide = w.op("Cast", [w.op("Unsqueeze", [positionIds, ints(-1)])], { to: dataTypes.f32 });
  const angles = w.op("Mul", [wide, frequencies]);
  const rotate = (x: string, count: number): string => {
    const attributes = { interleaved: 0, ...(layout === "flat" && { num_heads: count }) };
    if (rotary === "tables")
      return w.op("RotaryEmbedding", [x, tables.cos, tables.sin, positionIds], attributes);
    return w.op("RotaryEmbedding", [x, w.op("Cos", [angles]), w.op("Sin", [angles])], attributes);
  };
  const mask = causality === "mask" || scatter?.visible === "mask" ? visibleKeys() : undefined;
  const lengths = scatter?.visible === "derived" ? w.op("Add", [writeAt, sequence]) : givenLengths;
  const presents: string[][] = [];

  const split = (x: string): string => {
    if (layout === "flat") return x;
    return w.op("Transpose", [w.op("Reshape", [x, ints(0, 0, -1, headDim)])], { perm: [0, 2, 1, 3] });
  };
  const attention = (x: string, { q, k, v }: Layer, index: number): string => {
    const [query, key, value] = [
      rotate(split(linear(w, x, q)), heads),
      rotate(split(linear(w, x, k)), keyHeads),
      split(linear(w, x, v)),
    ] as const;
    const attributes = {
      is_causal: causality === "attribute" && scatter?.visible !== "mask" ? 1 : 0,
      scale: 1 / Math.sqrt(headDim),
      ...(layout === "flat" && { q_num_heads: heads, kv_num_heads: keyHeads }),
    };
    const attend = (): string => {
      if (scatter === undefined) {
        const [y, ...present] = w.outputs(
          "Attention",
          [query, key, value, mask, ...pasts[index]!],
          3,
          attributes,
        );
        presents.push([...present]);
        return y!;
      }
      const present = [key, value].map((rows, part) =>
        w.op("TensorScatter", [pasts[index]![part], rows, writeAt], { axis: -2, mode: "linear" }),
      );
      presents.push(present);
      return w.op("Attention", [query, ...present, mask, undefined, undefined, lengths], attributes);
    };
    const result = attend();
    if (layout === "flat") return result;
    return w.op("Reshape", [w.op("Transpose", [result], { perm: [0, 2, 1, 3] }), ints(0, 0, -1)]);
  };
  const logits = writeDecoder(
    w,
    weights,
    {
      linear,
      norm: (x: string, scale: Tensor) =>
        w.op("RMSNormalization", [x, scale], { axis: -1, epsilon: eps, stash_type: 1 }),
      attention,
      head: (x) => matmulLinear(w, x, { weight: weights.head }),
    },
    w.op("Gather", [weights.embedding, ids], { axis: 0 }),
  );
  w.output("logits", logits, "f32", ["batch", "sequence", config.vocab]);
  const caches = presents.flatMap((present, i) =>
    (["key", "value"] as const).map((kind, part) => {
      const name = `present_${kind}_${i}`;
      w.output(name, present[part]!, "f32", cacheShape("batch", scatter?.rows ?? "total"));
      const empty = cacheShape(1, scatter?.rows ?? 0) as number[];
      return { past: `past_${kind}_${i}`, present: name, empty: tensor("f32", empty) };
    }),
  );
  const feed = feedByName({
    input_ids: "i64",
    ...(scatter ? { write_indices: "i64" } : { position_ids: "i64" }),
    ...(givenLengths !== undefined && { lengths: "i64" }),
  });
  return { source: w.source, feed, caches };

  /** bool [1, 1, S, T]: keys up to each position. */
  function visibleKeys(): string {
    const total = scatter
      ? w.constant(int(scatter.rows))
      : w.op("Squeeze", [w.op("Add", [sequence, w.op("Shape", [pasts[0]![0]!], { start: 2, end: 3 })])]);
    const columns = w.op("Range", [int(0), total, int(1)]);
    return w.op("LessOrEqual", [
      columns,
      w.op("Unsqueeze", [w.op("Unsqueeze", [positionIds, ints(-1)]), ints(1)]),
    ]);
  }
}
