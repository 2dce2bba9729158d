import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { int, ints, OnnxWriter } from "../onnx-writer.ts";
import { writeDecoder } from "./decoder.ts";
import { fourBitBlocks, type LinearWriter, matmulLinear } from "./linears.ts";
import { type ExportedModel, feedByName } from "./run.ts";
import { type Linear, type LlamaWeights, rotaryTables } from "./weights.ts";

export interface GenaiOptions {
  /** How projections are written; the head is a MatMul. */
  readonly linear?: LinearWriter;
  /** q, k and v as one matrix. */
  readonly packsQkv?: boolean;
  /** Whether GroupQueryAttention rotates, or a RotaryEmbedding in front of it. */
  readonly rotatesInAttention?: boolean;
  /** MultiHeadAttention, which is for as many key heads as query heads. */
  readonly usesMultiHead?: boolean;
  /** The embedding in blocks of 32 codes of four bits. */
  readonly packsEmbedding?: boolean;
  /** Keys that a query sees; -1: all. */
  readonly window?: number;
}

/** The shape that onnxruntime-genai's model builder gives to a Llama. */
export function genaiLlama(weights: LlamaWeights, options: GenaiOptions = {}): ExportedModel {
  const { linear = matmulLinear, packsQkv = true, usesMultiHead = false, window = -1 } = options;
  const rotatesInAttention = !usesMultiHead && (options.rotatesInAttention ?? true);
  const { config } = weights;
  const { heads, keyHeads, headDim, layers, eps } = config;
  const w = new OnnxWriter({ opset: 21, domains: { "com.microsoft": 1 } });
  const ids = w.input("input_ids", "i64", ["batch_size", "sequence_length"]);
  const mask = w.input("attention_mask", "i64", ["batch_size", "total_sequence_length"]);
  const positions = rotatesInAttention
    ? undefined
    : w.input("position_ids", "i64", ["batch_size", "sequence_length"]);
  const cache = ["batch_size", keyHeads, "past_sequence_length", headDim];
  const pasts = Array.from({ length: layers }, (_, i) =>
    (["key", "value"] as const).map((kind) => w.input(`past_key_values.${i}.${kind}`, "f32", cache)),
  );
  const lengths = w.op(
    "Cast",
    [w.op("Sub", [w.op("ReduceSum", [mask, ints(1)], { keepdims: 1 }), ints(1)])],
    { to: 6 },
  );
  const total = w.op("Cast", [w.op("Gather", [w.op("Shape", [mask]), int(1)], { axis: 0 })], { to: 6 });
  const { cos, sin } = rotaryTables(config);
  const presents: string[][] = [];

  const simplified = { epsilon: eps, axis: -1, stash_type: 1 };
  const rotate = (x: string, count: number): string =>
    w.op("com.microsoft::RotaryEmbedding", [x, positions, cos, sin], {
      interleaved: 0,
      num_heads: count,
      rotary_embedding_dim: config.rotaryDim === headDim ? 0 : config.rotaryDim,
    });
  const perHead = (x: string, scale: Tensor | undefined): string => {
    if (scale === undefined) return x;
    const split = w.op("Reshape", [x, ints(0, -1, headDim)]);
    const normed = w.op("SimplifiedLayerNormalization", [split, scale], simplified);
    return w.op("Reshape", [
      normed,
      w.op("Concat", [w.op("Shape", [x], { start: 0, end: 2 }), ints(-1)], { axis: 0 }),
    ]);
  };
  const embedded =
    options.packsEmbedding === true ? packedRows(ids) : w.op("Gather", [weights.embedding, ids]);
  const logits = writeDecoder(
    w,
    weights,
    {
      linear,
      norm: (x, scale) => w.op("SimplifiedLayerNormalization", [x, scale], simplified),
      addAndNorm(x, delta, scale) {
        const [normed, , , sum] = w.outputs(
          "com.microsoft::SkipSimplifiedLayerNormalization",
          [x, delta, scale],
          4,
          {
            epsilon: eps,
          },
        ) as [string, string, string, string];
        return { sum, normed };
      },
      attention(x, { q, k, v, qNorm, kNorm }, index) {
        const project = (): (string | undefined)[] => {
          if (packsQkv && rotatesInAttention && qNorm === undefined)
            return [linear(w, x, stacked(q, k, v)), undefined, undefined];
          const [flatQ, flatK, flatV] = [q, k, v].map((part) => linear(w, x, part)) as [
            string,
            string,
            string,
          ];
          const [normedQ, normedK] = [perHead(flatQ, qNorm), perHead(flatK, kNorm)];
          return rotatesInAttention
            ? [normedQ, normedK, flatV]
            : [rotate(normedQ, heads), rotate(normedK, keyHeads), flatV];
        };
        const projected = project();
        if (usesMultiHead) {
          const [mixed, ...present] = w.outputs(
            "com.microsoft::MultiHeadAttention",
            [...projected, undefined, undefined, undefined, ...pasts[index]!],
            3,
            { num_heads: heads, scale: 1 / Math.sqrt(headDim), unidirectional: 1 },
          );
          presents.push([...present]);
          return mixed!;
        }
        const tables = rotatesInAttention ? [cos, sin] : [undefined, undefined];
        const [attended, ...present] = w.outputs(
          "com.microsoft::GroupQueryAttention",
          [...projected, ...pasts[index]!, lengths, total, ...tables],
          3,
          {
            num_heads: heads,
            kv_num_heads: keyHeads,
            scale: 1 / Math.sqrt(headDim),
            local_window_size: window,
            softcap: { float: 0 },
            do_rotary: rotatesInAttention ? 1 : 0,
            rotary_interleaved: 0,
          },
        );
        presents.push([...present]);
        return attended!;
      },
      head: (x) => matmulLinear(w, x, { weight: weights.head }),
    },
    embedded,
  );
  w.output("logits", logits, "f32", ["batch_size", "sequence_length", config.vocab]);
  const caches = presents.flatMap((present, i) =>
    (["key", "value"] as const).map((kind, part) => {
      const name = `present.${i}.${kind}`;
      w.output(name, present[part]!, "f32", ["batch_size", keyHeads, "total_sequence_length", headDim]);
      return {
        past: `past_key_values.${i}.${kind}`,
        present: name,
        empty: tensor("f32", [1, keyHeads, 0, headDim]),
      };
    }),
  );
  const feed = feedByName({
    input_ids: "i64",
    attention_mask: "i64",
    ...(!rotatesInAttention && { position_ids: "i64" }),
  });
  return { source: w.source, feed, caches };

  function packedRows(indices: string): string {
    const { packed, scales } = fourBitBlocks(weights.embedding, 32);
    const data = { ...packed, shape: [config.vocab, config.hidden / 2] };
    const attributes = { bits: 4, block_size: 32, gather_axis: 0, quantize_axis: 1 };
    return w.op("com.microsoft::GatherBlockQuantized", [data, indices, scales], attributes);
  }
}

/** Several linears of one input as one, with the outputs side by side. */
export function stacked(...parts: readonly Linear[]): Linear {
  const join = (tensors: readonly Tensor[]): Tensor => {
    const rows = tensors.reduce((n, { shape }) => n + shape[0]!, 0);
    return tensor(
      "f32",
      [rows, ...tensors[0]!.shape.slice(1)],
      tensors.flatMap(({ data }) => Array.from(data)),
    );
  };
  const [first] = parts as [Linear, ...Linear[]];
  return {
    weight: join(parts.map(({ weight }) => weight)),
    ...(first.scale !== undefined && {
      scale: parts.flatMap(({ weight, scale }) => new Array<number>(weight.shape[0]!).fill(scale as number)),
    }),
    ...(first.bias && { bias: join(parts.map(({ bias }) => bias!)) }),
  };
}
