import type { DType } from "../../../src/tensor/dtype.ts";
import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { float, int, ints, type OnnxWriter } from "../onnx-writer.ts";
import { writeDecoder } from "./decoder.ts";
import { type LinearWriter, matmulLinear } from "./linears.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { bufferRows, lowest, type MaskStyle, writeMask } from "./torchscript-mask.ts";
import { TorchScriptWriter } from "./torchscript-writer.ts";
import { inverseFrequencies, type LlamaConfig, type LlamaWeights, rotaryTables } from "./weights.ts";

const end = 2 ** 63;

export interface TorchScriptOptions {
  readonly opset?: number;
  readonly linear?: LinearWriter;
  readonly rotary?: "frequencies" | "table4d" | "table2d";
  readonly halves?: "slice" | "split";
  /** transformers 4.28, 4.36, 4.38 and 4.41. */
  readonly mask?: MaskStyle["kind"];
  readonly scale?: "div" | "mul";
  /** Scores are held above the lowest float, as in transformers 4.28. */
  readonly clampsScores?: boolean;
  readonly hasPositionIds?: boolean;
  readonly hasAttentionMask?: boolean;
  readonly maskDType?: MaskStyle["maskDType"];
  readonly idsDType?: "i64" | "i32";
  readonly hasCache?: boolean;
  /** What the exporter calls the sizes. */
  readonly batch?: string | number;
  readonly names?: readonly [sequence: string | number, past: string, total: string];
  /** Which axis of the cache grows. */
  readonly cacheAxis?: 1 | 2 | 3;
  /** Scales the embedding and caps the scores, as Gemma 2 does. */
  readonly gemma?: {
    readonly embeddingScale: number;
    readonly softcap: number;
    readonly headSoftcap: number;
  };
  /** Keys that a query sees, as Mistral has it. */
  readonly window?: number;
  /** Logits of the last token only. */
  readonly lastOnly?: boolean;
  /** Hidden states, which some exports return too. */
  readonly returnsHidden?: boolean;
}

/** The shape of optimum's Llama: torch.onnx.export by tracing. */
export function torchScriptLlama(weights: LlamaWeights, options: TorchScriptOptions = {}): ExportedModel {
  const { opset = 17, linear = matmulLinear, hasCache = true, batch = "batch_size", cacheAxis = 2 } = options;
  const { hasPositionIds = true, hasAttentionMask = true, maskDType = "i64", idsDType = "i64" } = options;
  const [sequence, past, total] = options.names ?? [
    "sequence_length",
    "past_sequence_length",
    "past_sequence_length + sequence_length",
  ];
  const { config } = weights;
  const { heads, keyHeads, headDim, layers, eps } = config;
  const w = new TorchScriptWriter(opset);
  const ids = w.input("input_ids", idsDType, [batch, sequence]);
  const mask = hasAttentionMask
    ? w.input("attention_mask", maskDType, [batch, hasCache ? total : sequence])
    : undefined;
  const given = hasPositionIds ? w.input("position_ids", "i64", [batch, sequence]) : undefined;
  const layout = (length: string | number): (string | number)[] => {
    if (cacheAxis === 1) return [batch, length, keyHeads, headDim];
    return cacheAxis === 2 ? [batch, keyHeads, length, headDim] : [batch, keyHeads, headDim, length];
  };
  const pasts = Array.from({ length: hasCache ? layers : 0 }, (_, i) =>
    (["key", "value"] as const).map((kind) => w.input(`past_key_values.${i}.${kind}`, "f32", layout(past))),
  );

  const S = w.size(ids, 1);
  const B = w.size(ids, 0);
  const P = hasCache ? w.size(pasts[0]![0]!, cacheAxis) : undefined;
  const T = P === undefined ? S : w.op("Add", [S, P]);
  const positions = given ?? w.reshape(w.op("Unsqueeze", [w.arange(P ?? 0, T), ints(0)]), -1, S);
  const embedding = w.op("Gather", [weights.embedding, ids]);
  const embedded = options.gemma ? w.op("Mul", [embedding, float(options.gemma.embeddingScale)]) : embedding;
  const bias = writeMask(
    w,
    { kind: options.mask ?? "sum", window: options.window ?? 0, config, maskDType },
    { mask, S, P, T, B },
  );
  const rotary = options.rotary ?? "frequencies";
  const shared = rotary === "frequencies" ? frequencyRows(w, config, positions) : undefined;
  const presents: string[][] = [];

  const norm = (x: string, scale: Tensor): string => {
    const wide = w.cast(x, "f32");
    const square = w.op("Pow", [wide, float(2)]);
    const mean = w.op("ReduceMean", [square, ...(opset >= 18 ? [ints(-1)] : [])], {
      keepdims: 1,
      ...(opset < 18 && { axes: [-1] }),
    });
    const inverse = w.op("Div", [float(1), w.op("Sqrt", [w.op("Add", [mean, float(eps)])])]);
    return w.op("Mul", [scale, w.cast(w.op("Mul", [wide, inverse]), "f32")]);
  };
  let hidden = "";
  const logits = writeDecoder(
    w,
    weights,
    {
      linear,
      norm,
      attention(x, layer, index) {
        const [batchSize, length] = [w.size(x, 0), w.size(x, 1)];
        const split = (y: string, scale?: Tensor) => {
          const perHead = w.reshape(y, batchSize, length, -1, headDim);
          return w.op("Transpose", [scale ? norm(perHead, scale) : perHead], { perm: [0, 2, 1, 3] });
        };
        const q = split(linear(w, x, layer.q), layer.qNorm);
        const k = split(linear(w, x, layer.k), layer.kNorm);
        const v = split(linear(w, x, layer.v));
        const rows =
          shared ?? tableRows(w, config, rotary, positions, w.op("Add", [w.size(k, 2), P ?? int(0)]));
        const rotate = (y: string) => rotateHalf(w, y, rows, config, options.halves ?? "slice");
        const [rotatedQ, rotatedK] = [rotate(q), rotate(k)];
        const perm = cacheAxis === 1 ? [0, 2, 1, 3] : cacheAxis === 3 ? [0, 1, 3, 2] : undefined;
        const laid = (y: string) => (perm ? w.op("Transpose", [y], { perm }) : y);
        const [keys, values] = [rotatedK, v].map((y, part) => {
          if (!hasCache) return y;
          const present = w.op("Concat", [pasts[index]![part]!, laid(y)], {
            axis: cacheAxis === 2 ? -2 : cacheAxis,
          });
          presents[index] = [...(presents[index] ?? []), present];
          return laid(present);
        }) as [string, string];
        const repeat = (y: string) => {
          const [b, h, t, d] = [0, 1, 2, 3].map((axis) => w.size(y, axis)) as [
            string,
            string,
            string,
            string,
          ];
          const wide = w.expand(w.op("Unsqueeze", [y, ints(2)]), b, h, heads / keyHeads, t, d);
          return w.reshape(wide, b, w.op("Mul", [h, int(heads / keyHeads)]), t, d);
        };
        const [allKeys, allValues] = keyHeads === heads ? [keys, values] : [repeat(keys), repeat(values)];
        const product = w.op("MatMul", [rotatedQ, w.op("Transpose", [allKeys], { perm: [0, 1, 3, 2] })]);
        const scaled =
          options.scale === "mul"
            ? w.op("Mul", [product, float(1 / Math.sqrt(headDim))])
            : w.op("Div", [product, float(Math.sqrt(headDim))]);
        const capped = options.gemma ? softcap(w, scaled, options.gemma.softcap) : scaled;
        const masked = w.op("Add", [
          capped,
          options.mask === "buffer" ? bufferRows(w, bias, P ?? int(0), T) : bias,
        ]);
        const clamped = options.clampsScores === true ? w.op("Max", [masked, float(lowest)]) : masked;
        const probabilities = w.cast(w.op("Softmax", [clamped], { axis: -1 }), "f32");
        const mixed = w.op("Transpose", [w.op("MatMul", [probabilities, allValues])], { perm: [0, 2, 1, 3] });
        return w.reshape(mixed, batchSize, length, heads * headDim);
      },
      head(x) {
        hidden = x;
        const rows =
          options.lastOnly === true
            ? w.op("Unsqueeze", [w.op("Gather", [x, int(-1)], { axis: 1 }), ints(1)])
            : x;
        const scores = w.op("MatMul", [rows, w.op("Transpose", [weights.head], { perm: [1, 0] })]);
        return w.cast(options.gemma ? softcap(w, scores, options.gemma.headSoftcap) : scores, "f32");
      },
    },
    embedded,
  );
  w.output("logits", logits, "f32", [batch, options.lastOnly === true ? 1 : sequence, config.vocab]);
  if (options.returnsHidden === true)
    w.output("hidden_states", hidden, "f32", [batch, sequence, config.hidden]);
  const caches = presents.flatMap((present, i) =>
    (["key", "value"] as const).map((kind, part) => {
      const name = `present.${i}.${kind}`;
      w.output(name, present[part]!, "f32", layout(total));
      const empty = layout(0).map((size, axis) => (axis === 0 ? 1 : size)) as number[];
      return { past: `past_key_values.${i}.${kind}`, present: name, empty: tensor("f32", empty) };
    }),
  );
  const feed = feedByName({
    input_ids: idsDType,
    ...(hasAttentionMask && { attention_mask: maskDType as DType }),
    ...(hasPositionIds && { position_ids: "i64" }),
  });
  return { source: w.source, feed, caches };
}

const softcap = (w: OnnxWriter, x: string, cap: number): string =>
  w.op("Mul", [w.op("Tanh", [w.op("Div", [x, float(cap)])]), float(cap)]);

/** cos and sin, [B, 1, S, R]. */
interface RotaryRows {
  readonly cos: string;
  readonly sin: string;
}

function frequencyRows(w: TorchScriptWriter, config: LlamaConfig, positions: string): RotaryRows {
  const frequencies = tensor("f32", [1, config.rotaryDim / 2, 1], inverseFrequencies(config));
  const column = w.cast(w.expand(w.initializer(frequencies), w.size(positions, 0), -1, 1), "f32");
  const row = w.cast(w.op("Unsqueeze", [positions, ints(1)]), "f32");
  const angles = w.op("Transpose", [w.op("MatMul", [column, row])], { perm: [0, 2, 1] });
  const both = w.op("Concat", [angles, angles], { axis: -1 });
  const rows = (f: string) =>
    w.op("Unsqueeze", [w.cast(w.op("Mul", [w.op(f, [both]), float(1)]), "f32"), ints(1)]);
  return { cos: rows("Cos"), sin: rows("Sin") };
}

/** Rows of tables of all positions, cut to those in use. */
function tableRows(
  w: TorchScriptWriter,
  config: LlamaConfig,
  kind: "table4d" | "table2d" | "frequencies",
  positions: string,
  length: string,
): RotaryRows {
  const { cos, sin } = rotaryTables(config);
  const rows = (half: Tensor): string => {
    const [count, width] = half.shape as [number, number];
    const data = Array.from(
      { length: count * width * 2 },
      (_, i) => half.data[Math.floor(i / (2 * width)) * width + (i % width)]!,
    );
    if (kind === "table2d") {
      const table = w.initializer(tensor("f32", [count, 2 * width], data));
      return w.op("Unsqueeze", [w.op("Gather", [w.slice(table, 0, 0, length), positions]), ints(1)]);
    }
    const table = w.initializer(tensor("f32", [1, 1, count, 2 * width], data));
    const cut = w.cast(w.slice(table, 2, 0, length), "f32");
    const flat = w.op("Squeeze", [w.op("Squeeze", [cut, ints(1)]), ints(0)]);
    return w.op("Unsqueeze", [w.op("Gather", [flat, positions]), ints(1)]);
  };
  return { cos: rows(cos), sin: rows(sin) };
}

/** x · cos + rotate_half(x) · sin over the first elements of each head; the others pass. */
function rotateHalf(
  w: TorchScriptWriter,
  x: string,
  { cos, sin }: RotaryRows,
  { rotaryDim, headDim }: LlamaConfig,
  halves: "slice" | "split",
): string {
  const isPartial = rotaryDim < headDim;
  const rotated = isPartial ? w.slice(x, 3, 0, rotaryDim) : x;
  const half = w.cast(w.op("Div", [w.size(rotated, 3), int(2)]), "i64");
  const [low, high] =
    halves === "split"
      ? w.outputs("Split", [rotated, ints(rotaryDim / 2, rotaryDim / 2)], 2, { axis: -1 })
      : [w.slice(rotated, 3, 0, half), w.slice(rotated, 3, half, end)];
  const turned = w.op("Concat", [w.op("Neg", [high]), low], { axis: -1 });
  const sum = w.op("Add", [w.op("Mul", [rotated, cos]), w.op("Mul", [turned, sin])]);
  return isPartial ? w.op("Concat", [sum, w.slice(x, 3, rotaryDim, end)], { axis: -1 }) : sum;
}
