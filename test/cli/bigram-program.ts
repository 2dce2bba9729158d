import type { ProgramGraph } from "../../src/runtime/graph.ts";
import { delegateFormat, delegateId, writeDelegate } from "../../src/serialize/delegate.ts";
import { type NamedBlob, writeProgram } from "../../src/serialize/program-writer.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { encodeElements, tensor } from "../../src/tensor/tensor.ts";

export const maxSeqLen = 16;

/** Logits [V, V]: row i for the token that follows token i. The likeliest one is (3·i + 5) mod V, 1 excepted. */
export function bigramTable(vocabSize: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: vocabSize * vocabSize }, (_, at) => {
    const [row, column] = [Math.floor(at / vocabSize), at % vocabSize];
    return column === (3 * row + 5) % vocabSize ? 4 : Math.sin(row * 7 + column * 3);
  });
}

/**
 * The smallest language model: a table that says which token follows which. As a program it is complete, with
 * everything around a model, and gives the logits of every position.
 * @param texts named data, such as tokenizer.json
 * @param table logits [V, V]
 */
export async function bigramProgram(
  vocabSize: number,
  texts: Readonly<Record<string, string>> = {},
  table = bigramTable(vocabSize),
): Promise<Uint8Array> {
  const sequence = symbol("S", maxSeqLen, 1);
  const graph: ProgramGraph = {
    values: [
      { dtype: "i64", shape: [1, sequence] },
      { dtype: "i64", shape: [1] },
      { dtype: "f32", shape: [vocabSize, vocabSize] },
      { dtype: "f32", shape: [1, sequence, vocabSize] },
    ],
    inputs: [
      { name: "tokens", value: 0 },
      { name: "start_pos", value: 1 },
    ],
    outputs: [{ name: "logits", value: 3 }],
    states: [],
    constants: [{ value: 2, key: "table" }],
    dims: [],
    nodes: [
      { op: "nn.embedding", args: { table: 2, ids: 0 }, attrs: {}, results: [3], source: "test:bigram" },
    ],
  };
  const typed = (name: string, value: number) => ({ name, ...graph.values[value]! });
  const sink = memorySink();
  await writeProgram(
    {
      methods: [
        {
          name: "forward",
          inputs: [typed("tokens", 0), typed("start_pos", 1)],
          outputs: [typed("logits", 3)],
        },
      ],
      constantMethods: { get_max_seq_len: maxSeqLen, get_eos_ids: [1], get_vocab_size: vocabSize },
      namedData: [
        ...Object.entries(texts).map(([key, text]) => blob(key, new TextEncoder().encode(text))),
        blob("table", encodeElements("f32", tensor("f32", [vocabSize, vocabSize], table).data)),
      ],
      delegate: { id: delegateId, format: delegateFormat, build: (blobs) => writeDelegate(graph, blobs) },
    },
    sink,
  );
  return sink.bytes();
}

const blob = (key: string, bytes: Uint8Array): NamedBlob => ({
  key,
  size: bytes.byteLength,
  async *stream() {
    yield bytes;
  },
});
