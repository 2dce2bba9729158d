import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { dataTypes, float, int, ints, OnnxWriter } from "../onnx-writer.ts";
import { writeDecoder } from "./decoder.ts";
import { matmulLinear } from "./linears.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { type Layer, type Linear, type LlamaWeights, rotaryTables } from "./weights.ts";

export interface HandWrittenOptions {
  /**
   * `halves`: from tables of half a head's width, without writing the halves together first. `tokens first`: on
   * [B, S, H, D]. `pairs`: neighbours make a pair. `none`: positions shift scores instead, as ALiBi has it.
   */
  readonly rotary?: "halves" | "tokens first" | "pairs" | "none";
  /** Scales q behind its projection, and multiplies stacks of matrices [B · H, S, D]. */
  readonly attention?: "plain" | "stacked";
  /** q, k and v from one matrix: side by side; or so for each head; or a fifth axis. */
  readonly packing?: "none" | "split" | "fifth axis";
  readonly norm?: "mean" | "sum" | "offset";
  /** The caches are in 16 bits, the arithmetic is not. */
  readonly narrowCache?: boolean;
  /** Only the last token's logits, [B, V]. */
  readonly lastOnly?: boolean;
  /** How many tokens' logits are wanted, an input. */
  readonly countsLogits?: boolean;
  /** The caller computes the mask [B, 1, S, T]: what is added to the scores, or which keys are seen. */
  readonly givenMask?: "f32" | "bool";
  /** The number of past tokens instead of positions. */
  readonly givenPast?: "scalar" | "vector";
}

/** Models written by hand or by smaller tools: what the big exporters write, spelled in other ways. */
export function handWrittenLlama(weights: LlamaWeights, options: HandWrittenOptions = {}): ExportedModel {
  const {
    rotary = "halves",
    attention = "plain",
    packing = "none",
    norm = "mean",
    narrowCache = false,
  } = options;
  const { config } = weights;
  const { heads, keyHeads, headDim, hidden, layers, eps } = config;
  const w = new OnnxWriter({ opset: 18 });
  const cacheType = narrowCache ? "f16" : "f32";
  const ids = w.input("input_ids", "i64", ["batch", "tokens"]);
  const { givenMask, givenPast } = options;
  const positionInput = givenPast
    ? undefined
    : w.input("position_ids", "i64", ["batch", "position_ids_length"]);
  const pastInput = givenPast && w.input("past_length", "i64", givenPast === "scalar" ? [] : [1]);
  const maskInput = givenMask && w.input("mask", givenMask, ["batch", 1, "mask_rows", "mask_columns"]);
  const wanted = options.countsLogits === true ? w.input("num_logits_to_keep", "i64", []) : undefined;
  const pasts = Array.from({ length: layers }, (_, i) =>
    (["k", "v"] as const).map((kind) =>
      w.input(`${kind}${i}`, cacheType, ["batch", keyHeads, "cached", headDim]),
    ),
  );
  const tokens = w.op("Shape", [ids], { start: 1, end: 2 });
  const cached = w.op("Shape", [pasts[0]![0]!], { start: 2, end: 3 });
  const total = w.op("Squeeze", [w.op("Add", [tokens, cached])]);
  const columns = w.op("Range", [int(0), total, int(1)]);
  const positions =
    positionInput ??
    w.op("Unsqueeze", [
      w.op("Add", [w.op("Range", [int(0), w.op("Squeeze", [tokens]), int(1)]), pastInput!]),
      ints(0),
    ]);
  const queries = w.op("Unsqueeze", [positions, ints(1, 3)]);
  const isHidden = w.op("Greater", [columns, queries]);
  const cast = (x: string, to: "f32" | "f16") => w.op("Cast", [x], { to: dataTypes[to] });
  const hiding = w.op("Where", [isHidden, float(-10000), float(0)]);
  const distance = w.op("Cast", [w.op("Sub", [columns, queries])], { to: dataTypes.f32 });
  const slopes = tensor(
    "f32",
    [1, heads, 1, 1],
    Array.from({ length: heads }, (_, i) => 2 ** (-2 * (i + 1))),
  );
  const shift = rotary === "none" ? w.op("Add", [hiding, w.op("Mul", [distance, slopes])]) : hiding;
  const bias =
    maskInput === undefined
      ? shift
      : givenMask === "bool"
        ? w.op("Where", [maskInput, float(0), float(-10000)])
        : maskInput;
  const { cos, sin } = rotaryTables(config);
  const isTokensFirst = rotary === "tokens first";
  const rows = (table: Tensor): string =>
    w.op("Unsqueeze", [
      w.op("Gather", [isTokensFirst ? doubled(table) : table, positions]),
      ints(isTokensFirst ? 2 : 1),
    ]);
  const [cosRows, sinRows] = [rows(cos), rows(sin)];
  const presents: string[][] = [];

  const normed = (x: string, scale: Tensor): string => {
    const square = w.op("Mul", [x, x]);
    const width = scale.shape[0]!;
    const mean =
      norm === "sum"
        ? w.op("Div", [w.op("ReduceSum", [square, ints(-1)], { keepdims: 1 }), float(width)])
        : w.op("ReduceMean", [square, ints(-1)], { keepdims: 1 });
    const root = w.op("Sqrt", [w.op("Add", [mean, float(eps)])]);
    if (norm !== "offset") return w.op("Mul", [w.op("Div", [x, root]), scale]);
    const offsets = tensor(
      "f32",
      [width],
      Array.from(scale.data, (value) => Math.fround(value - 1)),
    );
    const inverse = w.op("Pow", [w.op("Add", [mean, float(eps)]), float(-0.5)]);
    return w.op("Mul", [w.op("Mul", [x, inverse]), w.op("Add", [offsets, float(1)])]);
  };
  const cut = (x: string, from: number, to: number, step = 1) =>
    w.op("Slice", [x, ints(from), ints(to), ints(-1), ints(step)]);
  const rotated = (x: string): string => {
    if (rotary === "none") return x;
    if (isTokensFirst) {
      const turned = w.op("Concat", [w.op("Neg", [cut(x, headDim / 2, headDim)]), cut(x, 0, headDim / 2)], {
        axis: -1,
      });
      return w.op("Add", [w.op("Mul", [x, cosRows]), w.op("Mul", [turned, sinRows])]);
    }
    const [a, b] =
      rotary === "pairs"
        ? [cut(x, 0, headDim, 2), cut(x, 1, headDim, 2)]
        : w.outputs("Split", [x], 2, { axis: -1, num_outputs: 2 });
    const first = w.op("Sub", [w.op("Mul", [a, cosRows]), w.op("Mul", [b, sinRows])]);
    const second = w.op("Add", [w.op("Mul", [b, cosRows]), w.op("Mul", [a, sinRows])]);
    if (rotary === "halves") return w.op("Concat", [first, second], { axis: -1 });
    const pairs = w.op(
      "Concat",
      [w.op("Unsqueeze", [first, ints(-1)]), w.op("Unsqueeze", [second, ints(-1)])],
      { axis: -1 },
    );
    return w.op("Reshape", [pairs, ints(0, 0, 0, -1)]);
  };
  const perHead = (x: string) => w.op("Reshape", [x, ints(0, 0, -1, headDim)]);
  const headsFirst = (x: string) => w.op("Transpose", [x], { perm: [0, 2, 1, 3] });
  const project = (x: string, layer: Layer): [string, string, string] => {
    const { q, k, v } = layer;
    if (packing === "fifth axis") {
      const all = matmulLinear(w, x, joined([q, k, v]));
      const apart = w.op("Reshape", [all, ints(0, 0, 3, heads, headDim)]);
      return [0, 1, 2].map((i) => w.op("Gather", [apart, int(i)], { axis: 2 })) as [string, string, string];
    }
    if (packing === "split") {
      const sizes = [q, k, v].map(({ weight }) => weight.shape[0]!);
      const parts = w.outputs("Split", [matmulLinear(w, x, joined([q, k, v])), ints(...sizes)], 3, {
        axis: -1,
      });
      return parts.map(perHead) as [string, string, string];
    }
    return [q, k, v].map((linear) => perHead(matmulLinear(w, x, linear))) as [string, string, string];
  };
  const logits = writeDecoder(
    w,
    weights,
    {
      linear: matmulLinear,
      norm: normed,
      attention(x, layer, index) {
        const [flatQ, flatK, flatV] = project(x, layer);
        const isScaledEarly = attention === "stacked";
        const scaledQ = isScaledEarly ? w.op("Mul", [flatQ, float(1 / Math.sqrt(headDim))]) : flatQ;
        const [q, k] = isTokensFirst
          ? [headsFirst(rotated(scaledQ)), headsFirst(rotated(flatK))]
          : [rotated(headsFirst(scaledQ)), rotated(headsFirst(flatK))];
        const [keys, values] = [k, headsFirst(flatV)].map((rows, part) => {
          const past = pasts[index]![part]!;
          const whole = w.op("Concat", [narrowCache ? cast(past, "f32") : past, rows], { axis: 2 });
          presents[index] = [...(presents[index] ?? []), narrowCache ? cast(whole, "f16") : whole];
          return heads === keyHeads ? whole : repeated(whole);
        }) as [string, string];
        const mixed = isScaledEarly ? stackedAttention(q, keys, values) : plainAttention(q, keys, values);
        return w.op("Reshape", [headsFirst(mixed), ints(0, 0, hidden)]);
      },
      head(x) {
        const selected =
          options.lastOnly === true
            ? w.op("Gather", [x, int(-1)], { axis: 1 })
            : wanted === undefined
              ? x
              : w.op("Slice", [
                  x,
                  w.op("Neg", [w.op("Unsqueeze", [wanted, ints(0)])]),
                  ints(2 ** 63),
                  ints(1),
                ]);
        return matmulLinear(w, selected, { weight: weights.head });
      },
    },
    w.op("Gather", [weights.embedding, ids]),
  );
  w.output(
    "logits",
    logits,
    "f32",
    options.lastOnly === true ? ["batch", config.vocab] : ["batch", "tokens", config.vocab],
  );
  const caches = presents.flatMap((present, i) =>
    (["k", "v"] as const).map((kind, part) => {
      w.output(`new_${kind}${i}`, present[part]!, cacheType, ["batch", keyHeads, "all", headDim]);
      return {
        past: `${kind}${i}`,
        present: `new_${kind}${i}`,
        empty: tensor(cacheType, [1, keyHeads, 0, headDim]),
      };
    }),
  );
  const feed = feedByName({
    input_ids: "i64",
    ...(positionInput !== undefined && { position_ids: "i64" }),
    ...(givenPast === "scalar" && { past_length: "i64" }),
    ...(givenMask !== undefined && { mask: givenMask }),
  });
  const feedVector: ExportedModel["feed"] = (ids, past) => ({
    ...feed(ids, past),
    past_length: tensor("i64", [1], [past]),
  });
  return { source: w.source, feed: givenPast === "vector" ? feedVector : feed, caches };

  function repeated(x: string): string {
    const wide = w.op("Tile", [w.op("Unsqueeze", [x, ints(2)]), ints(1, 1, heads / keyHeads, 1, 1)]);
    return w.op("Reshape", [wide, ints(0, heads, -1, headDim)]);
  }
  function plainAttention(q: string, keys: string, values: string): string {
    const product = w.op("MatMul", [q, w.op("Transpose", [keys], { perm: [0, 1, 3, 2] })]);
    const scores = w.op("Add", [w.op("Mul", [product, float(1 / Math.sqrt(headDim))]), bias]);
    return w.op("MatMul", [w.op("Softmax", [scores], { axis: -1 }), values]);
  }
  function stackedAttention(q: string, keys: string, values: string): string {
    const stack = (x: string) => w.op("Reshape", [x, ints(heads, -1, headDim)]);
    const product = w.op("MatMul", [stack(q), w.op("Transpose", [stack(keys)], { perm: [0, 2, 1] })]);
    const apart = w.op("Reshape", [product, w.op("Concat", [ints(1, heads), tokens, ints(-1)], { axis: 0 })]);
    const flat = w.op("Concat", [ints(heads), tokens, ints(-1)], { axis: 0 });
    const scores = w.op("Reshape", [w.op("Add", [apart, bias]), flat]);
    const mixed = w.op("MatMul", [w.op("Softmax", [scores], { axis: -1 }), stack(values)]);
    return w.op("Reshape", [mixed, ints(1, heads, -1, headDim)]);
  }
}

/** A table with each row followed by itself. */
function doubled({ shape, data }: Tensor): Tensor {
  const [count, width] = shape as [number, number];
  const twice = Array.from(
    { length: count * width * 2 },
    (_, i) => data[Math.floor(i / (2 * width)) * width + (i % width)]!,
  );
  return tensor("f32", [count, 2 * width], twice);
}

function joined(parts: readonly Linear[]): Linear {
  const rows = parts.reduce((n, { weight }) => n + weight.shape[0]!, 0);
  const data = parts.flatMap(({ weight }) => Array.from(weight.data));
  return { weight: tensor("f32", [rows, parts[0]!.weight.shape[1]!], data) };
}
