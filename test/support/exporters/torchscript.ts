import type { DType } from "../../../src/tensor/dtype.ts";
import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { dataTypes, float, int, ints, OnnxWriter } from "../onnx-writer.ts";
import { writeDecoder } from "./decoder.ts";
import { type LinearWriter, matmulLinear } from "./linears.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { inverseFrequencies, type LlamaConfig, type LlamaWeights, rotaryTables } from "./weights.ts";

const lowest = -3.4028234663852886e38;
const end = 2 ** 63;

/** The scaffolding of sizes that torch.onnx's TorchScript exporter leaves in a graph. */
export class TorchScriptWriter extends OnnxWriter {
  constructor(opset: number) {
    super({ opset, constantNodes: true });
  }

  /** i64 scalar */
  size(x: string, axis: number): string {
    return this.op("Gather", [this.op("Shape", [x]), int(axis)], { axis: 0 });
  }

  /** i64 vector of sizes, each a scalar value or a number. */
  sizes(...sizes: readonly (string | number)[]): string {
    const parts = sizes.map((size) =>
      typeof size === "number" ? ints(size) : this.op("Unsqueeze", [size, ints(0)]),
    );
    return this.op("Concat", parts, { axis: 0 });
  }

  reshape(x: string, ...sizes: readonly (string | number)[]): string {
    return this.op("Reshape", [x, this.sizes(...sizes)], { allowzero: 0 });
  }

  /** `expand`, in which -1 keeps a size. */
  expand(x: string, ...sizes: readonly (string | number)[]): string {
    const wanted = this.op("Reshape", [this.sizes(...sizes), ints(-1)]);
    const ones = this.op("ConstantOfShape", [this.op("Shape", [wanted])], { value: ints(1) });
    const isKept = this.op("Equal", [wanted, this.op("Mul", [ones, int(-1)])]);
    return this.op("Expand", [x, this.op("Where", [isKept, ones, wanted])]);
  }

  slice(x: string, axis: number, from: string | number, to: string | number): string {
    const bound = (at: string | number) =>
      typeof at === "number" ? ints(at) : this.op("Unsqueeze", [at, ints(0)]);
    return this.op("Slice", [x, bound(from), bound(to), ints(axis), ints(1)]);
  }

  /** i64 [to - from] */
  arange(from: string | number, to: string): string {
    return this.op("Range", [typeof from === "number" ? int(from) : from, to, int(1)]);
  }

  cast(x: string, to: keyof typeof dataTypes): string {
    return this.op("Cast", [x], { to: dataTypes[to] });
  }
}

export interface TorchScriptOptions {
  readonly opset?: number;
  readonly linear?: LinearWriter;
  readonly rotary?: "frequencies" | "table4d" | "table2d";
  readonly halves?: "slice" | "split";
  /** transformers 4.28, 4.36, 4.38 and 4.41. */
  readonly mask?: "sum" | "fill" | "buffer" | "triu";
  readonly scale?: "div" | "mul";
  /** Scores are held above the lowest float, as in transformers 4.28. */
  readonly clampsScores?: boolean;
  readonly hasPositionIds?: boolean;
  readonly hasAttentionMask?: boolean;
  readonly maskDType?: "i64" | "bool" | "f32" | "i32";
  readonly idsDType?: "i64" | "i32";
  readonly hasCache?: boolean;
  /** What the exporter calls the sizes. */
  readonly batch?: string | number;
  readonly names?: readonly [sequence: string, past: string, total: string];
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
        const split = (y: string, count: number, scale?: Tensor) => {
          const perHead = w.reshape(y, batchSize, length, -1, headDim);
          void count;
          return w.op("Transpose", [scale ? norm(perHead, scale) : perHead], { perm: [0, 2, 1, 3] });
        };
        const q = split(linear(w, x, layer.q), heads, layer.qNorm);
        const k = split(linear(w, x, layer.k), keyHeads, layer.kNorm);
        const v = split(linear(w, x, layer.v), keyHeads);
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

interface Lengths {
  readonly mask: string | undefined;
  readonly S: string;
  readonly P: string | undefined;
  readonly T: string;
  readonly B: string;
}

/** f32 [B, 1, S, T], or for `buffer` [B, 1, positions, positions]: what is added to the scores. */
function writeMask(
  w: TorchScriptWriter,
  {
    kind,
    window,
    config,
    maskDType,
  }: { kind: string; window: number; config: LlamaConfig; maskDType: string },
  lengths: Lengths,
): string {
  const { mask, S, P, T, B } = lengths;
  const isMasked = (wide: string): string => (maskDType === "bool" ? w.cast(wide, "f32") : wide);
  if (kind === "buffer") return bufferMask(w, config, mask, B);
  if (kind === "triu") return triangleMask(w, window, lengths, isMasked);
  const full = w.op("ConstantOfShape", [w.sizes(S, S)], { value: tensor("f32", [1], [lowest]) });
  const columns = w.arange(0, w.size(full, 1));
  const isBefore = w.op("Less", [columns, w.reshape(w.op("Add", [columns, int(1)]), w.size(full, 1), 1)]);
  const causal = w.op("Where", [isBefore, float(0), full]);
  const zeros = P && w.op("ConstantOfShape", [w.sizes(S, P)], { value: tensor("f32", [1], [0]) });
  const wide = zeros ? w.op("Concat", [zeros, causal], { axis: -1 }) : causal;
  const causal4d = w.expand(w.op("Unsqueeze", [w.op("Unsqueeze", [wide, ints(0)]), ints(1)]), B, 1, S, T);
  if (mask === undefined) return causal4d;
  const rows = w.op("Unsqueeze", [w.op("Unsqueeze", [mask, ints(1)]), ints(2)]);
  const kept = w.cast(w.expand(isMasked(rows), B, 1, S, T), "f32");
  const inverted = w.op("Sub", [float(1), kept]);
  const isHidden = w.cast(inverted, "bool");
  if (kind === "fill") return w.op("Where", [isHidden, float(lowest), causal4d]);
  return w.op("Add", [w.op("Where", [isHidden, float(lowest), inverted]), causal4d]);
}

/** A triangle of the lowest float, times what lies after each position; padding is written over it. */
function triangleMask(
  w: TorchScriptWriter,
  window: number,
  { mask, S, P, T, B }: Lengths,
  numeric: (x: string) => string,
): string {
  const full = w.op("Expand", [float(lowest), w.sizes(S, T)]);
  const upper = window > 0 ? full : w.op("Trilu", [full, int(1)], { upper: 1 });
  const positions = w.reshape(w.arange(P ?? 0, T), -1, 1);
  const columns = w.arange(0, T);
  const isAfter = w.op("Greater", [columns, positions]);
  const isFar =
    window > 0 ? w.op("LessOrEqual", [columns, w.op("Sub", [positions, int(window)])]) : undefined;
  const isHidden = isFar ? w.op("Or", [isAfter, isFar]) : isAfter;
  const causal = w.op("Mul", [upper, w.cast(isHidden, "f32")]);
  const wide = w.expand(w.op("Unsqueeze", [w.op("Unsqueeze", [causal, ints(0)]), ints(1)]), B, 1, -1, -1);
  if (mask === undefined) return wide;
  const length = w.size(mask, 1);
  const part = w.slice(wide, 3, 0, length);
  const rows = w.cast(numeric(w.op("Unsqueeze", [w.op("Unsqueeze", [mask, ints(1)]), ints(2)])), "f32");
  const isPadding = w.op("Equal", [w.op("Add", [part, rows]), float(0)]);
  const filled = w.op("Where", [isPadding, float(lowest), part]);
  return scatterColumns(w, wide, filled, length);
}

/** `x[..., :length] = part`, as TorchScript spells it: ScatterND at indices of all elements. */
function scatterColumns(w: TorchScriptWriter, x: string, part: string, length: string): string {
  const sizes = [0, 1, 2].map((axis) => w.size(x, axis));
  const shape = w.sizes(...sizes, length);
  const grids = [...sizes, length].map((size, axis) => {
    const steps = w.reshape(w.arange(0, size), ...[0, 1, 2, 3].map((a) => (a === axis ? -1 : 1)));
    return w.op("Unsqueeze", [w.op("Expand", [steps, shape]), ints(-1)]);
  });
  const indices = w.op("Concat", grids, { axis: -1 });
  return w.op("ScatterND", [x, indices, w.op("Reshape", [part, shape])]);
}

/** A triangle of ones kept as a constant, times the lowest float; padding is filled in. */
function bufferMask(
  w: TorchScriptWriter,
  { positions }: LlamaConfig,
  mask: string | undefined,
  B: string,
): string {
  const triangle = Array.from({ length: positions ** 2 }, (_, i) =>
    Number(i % positions > Math.floor(i / positions)),
  );
  const buffer = w.initializer({
    dtype: "bool",
    shape: [positions, positions],
    data: Uint8Array.from(triangle),
  });
  const rows = w.op("Unsqueeze", [w.op("Unsqueeze", [buffer, ints(0)]), ints(1)]);
  const repeated = w.op("Tile", [w.cast(rows, "f32"), w.sizes(B, 1, 1, 1)]);
  const causal = w.op("Mul", [repeated, float(lowest)]);
  if (mask === undefined) return causal;
  const length = w.size(mask, 1);
  const part = w.slice(causal, 3, 0, length);
  const isPadding = w.op("Unsqueeze", [
    w.op("Unsqueeze", [w.op("Equal", [w.cast(mask, "f32"), float(0)]), ints(1)]),
    ints(2),
  ]);
  const both = w.op("Mul", [w.cast(w.op("Equal", [part, float(0)]), "f32"), w.cast(isPadding, "f32")]);
  const filled = w.op("Where", [w.cast(both, "bool"), float(lowest), part]);
  return w.op("Concat", [filled, w.slice(causal, 3, length, end)], { axis: 3 });
}

/** The rows of the positions of this call. */
function bufferRows(w: TorchScriptWriter, bias: string, P: string | Tensor, T: string): string {
  const positions = w.op("Range", [P, T, int(1)]);
  return w.slice(w.op("Gather", [bias, positions], { axis: 2 }), 3, 0, T);
}
