import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { dataTypes, float, int, ints, OnnxWriter } from "../onnx-writer.ts";
import { writeDecoder } from "./decoder.ts";
import { type LinearWriter, matmulLinear } from "./linears.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { inverseFrequencies, type Layer, type Linear, type LlamaWeights, scaleTensor } from "./weights.ts";

type Float = "f32" | "f16" | "bf16";
const lowest: Readonly<Record<Float, number>> = {
  f32: -3.4028234663852886e38,
  f16: -65504,
  bf16: -3.3895313892515355e38,
};

export interface DynamoOptions {
  readonly opset?: number;
  readonly linear?: LinearWriter;
  /** The float type that the model was in. */
  readonly dtype?: Float;
  /** transformers 4.41, or 4.53: a bool mask that chooses between 0 and the lowest float. */
  readonly mask?: "triu" | "where";
  readonly hasCachePosition?: boolean;
  readonly hasPositionIds?: boolean;
  readonly hasAttentionMask?: boolean;
  /** Rows of caches whose size does not change; new rows are written at cache_position. */
  readonly staticLength?: number;
  /** The static cache counts its rows itself, a number for each layer that goes in and comes out. */
  readonly countsRows?: boolean;
}

/** The shape that torch.onnx.export(dynamo=True) gives to a Llama with eager attention. */
export function dynamoLlama(weights: LlamaWeights, options: DynamoOptions = {}): ExportedModel {
  const {
    opset = 20,
    dtype = "f32",
    hasPositionIds = true,
    hasCachePosition = false,
    staticLength,
  } = options;
  const { hasAttentionMask = staticLength === undefined, countsRows = false } = options;
  const baseLinear = options.linear ?? matmulLinear;
  const { config } = weights;
  const { heads, keyHeads, headDim, layers, eps } = config;
  const w = new OnnxWriter({ opset });
  const toModel = (x: string): string => (dtype === "f32" ? x : w.op("Cast", [x], { to: dataTypes[dtype] }));
  const toFloat = (x: string): string => (dtype === "f32" ? x : w.op("Cast", [x], { to: dataTypes.f32 }));
  const weight = (data: Tensor): Tensor => tensor(dtype, data.shape, Array.from(data.data));
  const scalar = (value: number): Tensor => tensor(dtype, [], [value]);

  const ids = w.input("input_ids", "i64", ["s72", "s70"]);
  const mask = hasAttentionMask ? w.input("attention_mask", "i64", ["s72", "s9"]) : undefined;
  const given = hasPositionIds ? w.input("position_ids", "i64", ["s72", "s70"]) : undefined;
  const callPositions = hasCachePosition ? w.input("cache_position", "i64", ["s70"]) : undefined;
  const cacheShape = ["s72", keyHeads, staticLength ?? "s34", headDim];
  const counts: string[] = [];
  const pasts = Array.from({ length: layers }, (_, i) => {
    const pair = (["keys", "values"] as const).map((kind) =>
      w.input(`input.past_key_values.layers.${i}.${kind}`, dtype, cacheShape),
    );
    if (countsRows) counts.push(w.input(`input.past_key_values.layers.${i}.cumulative_length`, "i64", []));
    return pair;
  });
  const batch = w.op("Shape", [ids], { start: 0, end: 1 });
  const sequence = w.op("Shape", [ids], { start: 1, end: 2 });
  const length = w.op("Squeeze", [sequence]);
  const past =
    counts[0] ??
    (staticLength === undefined
      ? w.op("Squeeze", [w.op("Shape", [pasts[0]![0]!], { start: 2, end: 3 })])
      : undefined);
  const total = staticLength === undefined ? w.op("Add", [past!, length]) : w.constant(int(staticLength));
  const positions = callPositions ?? w.op("Add", [w.op("Range", [int(0), length, int(1)]), past ?? given!]);
  const positionIds = given ?? w.op("Unsqueeze", [positions, ints(0)]);
  const width = w.op("Reshape", [total, ints(-1)]);
  const bias = toMask();

  const frequencies = tensor("f32", [1, config.rotaryDim / 2, 1], inverseFrequencies(config));
  const column = w.op("Expand", [frequencies, w.op("Concat", [batch, ints(1), ints(1)], { axis: 0 })]);
  const row = w.op("Cast", [w.op("Unsqueeze", [positionIds, ints(1)])], { to: dataTypes.f32 });
  const angles = w.op("Transpose", [w.op("MatMul", [column, row])], { perm: [0, 2, 1] });
  const both = w.op("Concat", [angles, angles], { axis: -1 });
  const [cos, sin] = ["Cos", "Sin"].map((f) => w.op("Unsqueeze", [toModel(w.op(f, [both])), ints(1)])) as [
    string,
    string,
  ];

  const linear: LinearWriter = (writer, x, layer) =>
    dtype === "f32"
      ? baseLinear(writer, x, layer)
      : halfLinear(writer, x, layer, { weight, toModel, toFloat });
  const norm = (x: string, scale: Tensor): string => {
    const wide = toFloat(x);
    const mean = w.op("ReduceMean", [w.op("Pow", [wide, float(2)]), ints(-1)], { keepdims: 1 });
    const inverse = w.op("Reciprocal", [w.op("Sqrt", [w.op("Add", [mean, float(eps)])])]);
    return w.op("Mul", [weight(scale), toModel(w.op("Mul", [wide, inverse]))]);
  };
  const presents: string[][] = [];
  const logits = writeDecoder(
    w,
    weights,
    {
      linear,
      norm,
      attention,
      head: (x) => w.op("MatMul", [x, w.op("Transpose", [weight(weights.head)], { perm: [1, 0] })]),
    },
    w.op("Gather", [weight(weights.embedding), ids], { axis: 0 }),
  );
  w.output("logits", logits, dtype, ["s72", "s70", config.vocab]);
  const caches = presents.flatMap((present, i) =>
    (["keys", "values"] as const).map((kind, part) => {
      const name = `output.past_key_values.layers.${i}.${kind}`;
      w.output(name, present[part]!, dtype, ["s72", keyHeads, staticLength ?? "s34 + s70", headDim]);
      return {
        past: `input.past_key_values.layers.${i}.${kind}`,
        present: name,
        empty: tensor(dtype, [1, keyHeads, staticLength ?? 0, headDim]),
      };
    }),
  );
  counts.forEach((count, i) => {
    const name = `output.past_key_values.layers.${i}.cumulative_length`;
    w.output(name, w.op("Add", [count, length]), "i64", []);
    caches.push({ past: count, present: name, empty: tensor("i64", []) });
  });
  const feed = feedByName({
    input_ids: "i64",
    ...(hasAttentionMask && { attention_mask: "i64" }),
    ...(hasPositionIds && { position_ids: "i64" }),
    ...(hasCachePosition && { cache_position: "i64" }),
  });
  return { source: w.source, feed, caches };

  function attention(x: string, layer: Layer, index: number): string {
    const split = (y: string, scale?: Tensor) => {
      const perHead = w.op(
        "Reshape",
        [y, w.op("Concat", [batch, sequence, ints(-1), ints(headDim)], { axis: 0 })],
        {
          allowzero: 1,
        },
      );
      return w.op("Transpose", [scale ? norm(perHead, scale) : perHead], { perm: [0, 2, 1, 3] });
    };
    const rotate = (y: string) => {
      const cut = (from: number, to: number) => w.op("Slice", [y, ints(from), ints(to), ints(3), ints(1)]);
      const turned = w.op("Concat", [w.op("Neg", [cut(headDim / 2, 2 ** 63)]), cut(0, headDim / 2)], {
        axis: -1,
      });
      return w.op("Add", [w.op("Mul", [y, cos]), w.op("Mul", [turned, sin])]);
    };
    const q = rotate(split(linear(w, x, layer.q), layer.qNorm));
    const news = [rotate(split(linear(w, x, layer.k), layer.kNorm)), split(linear(w, x, layer.v))];
    const present = news.map((rows, part) => append(pasts[index]![part]!, rows));
    presents.push(present);
    const [keys, values] = present.map((y) => {
      if (heads === keyHeads) return y;
      const sizes = (...middle: number[]) =>
        w.op("Concat", [batch, ints(...middle), width, ints(headDim)], { axis: 0 });
      const wide = w.op("Expand", [w.op("Unsqueeze", [y, ints(2)]), sizes(keyHeads, heads / keyHeads)]);
      return w.op("Reshape", [wide, sizes(heads)], { allowzero: 1 });
    }) as [string, string];
    const product = w.op("MatMul", [q, w.op("Transpose", [keys], { perm: [0, 1, 3, 2] })]);
    const scaled = w.op("Mul", [product, scalar(1 / Math.sqrt(headDim))]);
    const cut = bias && w.op("Slice", [bias, ints(0), width, ints(3), ints(1)]);
    const masked = cut === undefined ? scaled : w.op("Add", [scaled, cut]);
    const probabilities = toModel(w.op("Softmax", [toFloat(masked)], { axis: -1 }));
    const mixed = w.op("Transpose", [w.op("MatMul", [probabilities, values])], { perm: [0, 2, 1, 3] });
    return w.op("Reshape", [mixed, w.op("Concat", [batch, sequence, ints(-1)], { axis: 0 })], {
      allowzero: 1,
    });
  }

  /** The past and the new rows; for a static cache those rows written at their positions, as index_put is exported. */
  function append(cache: string, rows: string): string {
    if (staticLength === undefined) return w.op("Concat", [cache, rows], { axis: -2 });
    const perm = [2, 0, 1, 3];
    const indices = w.op("Unsqueeze", [positions, ints(-1)]);
    const moved = [cache, rows].map((x) => w.op("Transpose", [x], { perm }));
    return w.op("Transpose", [w.op("ScatterND", [moved[0], indices, moved[1]], { reduction: "none" })], {
      perm: [1, 2, 0, 3],
    });
  }

  function toMask(): string {
    const queries = w.op("Reshape", [positions, ints(-1, 1)]);
    const columns = w.op("Range", [int(0), total, int(1)]);
    const expand = (x: string) =>
      w.op("Expand", [
        w.op("Unsqueeze", [x, ints(0, 1)]),
        w.op("Concat", [batch, ints(1), sequence, width], { axis: 0 }),
      ]);
    if (options.mask === "where") {
      const visible = w.op("LessOrEqual", [columns, queries]);
      const padding = mask && w.op("Unsqueeze", [w.op("Cast", [mask], { to: dataTypes.bool }), ints(1, 2)]);
      const seen = padding ? w.op("And", [expand(visible), padding]) : expand(visible);
      return w.op("Where", [seen, scalar(0), scalar(lowest[dtype])]);
    }
    const full = w.op("Expand", [scalar(lowest[dtype]), w.op("Concat", [sequence, width], { axis: 0 })]);
    const triangle = staticLength === undefined ? w.op("Trilu", [full, int(1)], { upper: 1 }) : full;
    const isAfter = toModel(w.op("Cast", [w.op("Greater", [columns, queries])], { to: dataTypes.f32 }));
    const causal = expand(w.op("Mul", [triangle, isAfter]));
    if (mask === undefined) return causal;
    const end = w.op("Shape", [mask], { start: 1, end: 2 });
    const part = w.op("Slice", [causal, ints(0), end, ints(3), ints(1)]);
    const rows = w.op("Cast", [w.op("Unsqueeze", [mask, ints(1, 2)])], { to: dataTypes[dtype] });
    const isPadding = w.op("Equal", [w.op("Add", [part, rows]), scalar(0)]);
    const filled = w.op("Where", [isPadding, scalar(lowest[dtype]), part]);
    const steps = w.op("Slice", [w.op("Range", [int(0), total, int(1)]), ints(0), end, ints(0), ints(1)]);
    const perm = [3, 1, 2, 0];
    const scattered = w.op("ScatterND", [
      w.op("Transpose", [causal], { perm }),
      w.op("Unsqueeze", [steps, ints(-1)]),
      w.op("Transpose", [filled], { perm }),
    ]);
    return w.op("Transpose", [scattered], { perm });
  }
}

interface Casts {
  weight(data: Tensor): Tensor;
  toModel(x: string): string;
  toFloat(x: string): string;
}

/** AutoBitLinear of a 16-bit model: the activations are quantised in f32, the product is in 16 bits. */
function halfLinear(
  w: OnnxWriter,
  x: string,
  layer: Linear,
  { weight: inModel, toModel, toFloat }: Casts,
): string {
  const { scale, bias } = layer;
  const matrix = w.op("Transpose", [inModel(layer.weight)], { perm: [1, 0] });
  const plain = (): string => {
    if (scale === undefined) return w.op("MatMul", [x, matrix]);
    const wide = toFloat(x);
    const floor = w.op("Clip", [
      w.op("ReduceMax", [w.op("Abs", [wide]), ints(-1)], { keepdims: 1 }),
      float(1e-5),
    ]);
    const factor = w.op("Mul", [w.op("Reciprocal", [floor]), float(127)]);
    const codes = w.op("Clip", [w.op("Round", [w.op("Mul", [wide, factor])]), float(-128), float(127)]);
    const product = w.op("MatMul", [toModel(w.op("Div", [codes, factor])), matrix]);
    return w.op("Mul", [product, inModel(scaleTensor(layer))]);
  };
  return bias === undefined ? plain() : w.op("Add", [plain(), inModel(bias)]);
}
