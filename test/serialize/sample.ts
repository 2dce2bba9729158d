import type { ProgramGraph } from "../../src/runtime/graph.ts";
import type { BlobEntry } from "../../src/serialize/blob.ts";
import { delegateFormat, delegateId } from "../../src/serialize/delegate.ts";
import { writeDelegate } from "../../src/serialize/delegate-writer.ts";
import type { NamedBlob, ProgramContents } from "../../src/serialize/program-writer.ts";
import { type WrittenProgram, writeProgram } from "../../src/serialize/program-writer.ts";
import { type MemorySink, memorySink } from "../../src/serialize/sink.ts";
import { addDims, floorDivideDims, multiplyDims, symbol } from "../../src/tensor/dim.ts";
import { sha256Hex } from "../../src/tensor/sha256.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const seq = symbol("seq", 64, 1);
const past = symbol("past len", 960);

/** A graph with one of everything, though it computes nothing of use. */
export const sampleGraph: ProgramGraph = {
  values: [
    { dtype: "i64", shape: [1, seq] },
    { dtype: "i64", shape: [1] },
    { dtype: "f16", shape: [1, 2, 1024, 64] },
    { dtype: "tq2_0", shape: [256, 256] },
    { dtype: "f32", shape: [2] },
    { dtype: "i64", shape: [2] },
    { dtype: "f32", shape: [1, seq, addDims(seq, multiplyDims(2, past))] },
    { dtype: "f32", shape: [] },
  ],
  inputs: [
    { name: "tokens", value: 0 },
    { name: "start_pos", value: 1, contents: [past] },
  ],
  outputs: [{ name: "logits", value: 6 }],
  states: [{ name: "past_key_values.0.key", value: 2 }],
  constants: [
    { value: 3, key: "weight.0" },
    { value: 4, inline: tensor("f32", [2], [0.5, -2]) },
    { value: 7, inline: tensor("f32", [], [1e-5]) },
  ],
  dims: [{ value: 5, sizes: [-1, floorDivideDims(addDims(seq, 1), 2)] }],
  nodes: [
    {
      op: "nn.linear",
      args: { x: 2, weight: 3, rest: [4, 5, 7], none: [] },
      attrs: {
        eps: 1e-6,
        causal: true,
        interleaved: false,
        mode: "wrap",
        axes: [0, -1],
        names: ["a", ""],
        empty: [],
        zero: -0,
        infinite: Number.NEGATIVE_INFINITY,
      },
      results: [6],
      source: "model.layers.0",
    },
  ],
};

/** Bytes that look like nothing, the same each time. */
export function noise(size: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** A blob that comes in chunks of 100 bytes, all in the same memory. */
export const namedBlob = (key: string, bytes: Uint8Array): NamedBlob => ({
  key,
  size: bytes.length,
  async *stream() {
    const memory = new Uint8Array(100);
    for (let from = 0; from < bytes.length; from += memory.length) {
      const chunk = bytes.subarray(from, from + memory.length);
      memory.set(chunk);
      yield memory.subarray(0, chunk.length);
    }
  },
});

export const sampleData: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  "weight.0": noise(1000, 1),
  "tokenizer.json": new TextEncoder().encode('{"model": {}}'),
  "weight.1": noise(1000, 1),
  "weight.2": noise(300, 2),
  "weight.3": noise(3000, 3),
  "weight.4": noise(3000, 3),
};

export const sampleContents = (
  namedData: Readonly<Record<string, Uint8Array>> = sampleData,
): ProgramContents => ({
  methods: [
    {
      name: "forward",
      inputs: [
        { name: "tokens", dtype: "i64", shape: [1, seq] },
        { name: "start_pos", dtype: "i64", shape: [1] },
      ],
      outputs: [{ name: "logits", dtype: "f32", shape: [1, seq, 2048] }],
    },
  ],
  constantMethods: {
    use_kv_cache: true,
    get_vocab_size: 2048,
    get_eos_ids: [0, 7],
    get_stop: [5],
    get_nothing: [],
    rope_theta: { float: 1e4 },
    negative_zero: { float: -0 },
    get_template: "{{ 'é𝄞' }}",
    enable_dynamic_shape: false,
    get_lowest: -1,
  },
  namedData: Object.entries(namedData).map(([key, bytes]) => namedBlob(key, bytes)),
  delegate: {
    id: delegateId,
    format: delegateFormat,
    build: (blobs) => writeDelegate(sampleGraph, blobs),
  },
});

export async function writeSample(
  contents = sampleContents(),
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly written: WrittenProgram }> {
  const sink: MemorySink = memorySink();
  const written = await writeProgram(contents, sink);
  return { bytes: sink.bytes(), written };
}

export const sampleBlobs: readonly BlobEntry[] = Object.entries(sampleData).map(([key, bytes]) => ({
  key,
  size: bytes.length,
  sha256: sha256Hex(bytes),
}));
