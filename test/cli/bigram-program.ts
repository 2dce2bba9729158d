import type { ProgramGraph } from "../../src/runtime/graph.ts";
import type { Plan, PlanStep, PlanVariant } from "../../src/runtime/webgpu/plan.ts";
import { delegateFormat, delegateId } from "../../src/serialize/delegate.ts";
import { writeDelegate } from "../../src/serialize/delegate-writer.ts";
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
 * @param plan for a GPU, such as `bigramPlan` makes
 */
export async function bigramProgram(
  vocabSize: number,
  texts: Readonly<Record<string, string>> = {},
  table = bigramTable(vocabSize),
  plan?: Plan,
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
      { name: "start_pos", value: 1, contents: [symbol("P", maxSeqLen - 1)] },
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
      delegate: {
        id: delegateId,
        format: delegateFormat,
        build: (blobs) => writeDelegate(graph, blobs, plan),
      },
    },
    sink,
  );
  return sink.bytes();
}

/** As many as `candidates` of the plan gives. */
export const candidateCount = 8;

/** The same on a GPU, in shaders as plain as can be. A call takes half of the positions. */
export function bigramPlan(vocabSize: number, needs: Partial<PlanVariant["needs"]> = {}): Plan {
  const sizes = [4 * vocabSize ** 2, 4 * maxSeqLen, 4 * maxSeqLen * vocabSize, 64, 8 * candidateCount, 16];
  const step = (
    kernel: string,
    pipeline: number,
    buffers: readonly number[],
    groups: PlanStep["workgroups"],
  ) => ({
    kernel,
    class: "movement" as const,
    source: "test:bigram",
    pipeline,
    bindings: buffers.map((buffer) => ({ buffer, offset: 0, size: sizes[buffer]! })),
    workgroups: groups,
  });
  const [tableSize, tokensSize, logitsSize] = sizes as [number, number, number];
  return {
    symbols: ["S", "P"],
    modules: [
      `@group(0) @binding(0) var<storage, read> table: array<f32>;
      @group(0) @binding(1) var<storage, read_write> tokens: array<i32>;
      @group(0) @binding(2) var<storage, read_write> logits: array<f32>;
      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if (id.x < ${vocabSize}) {
          logits[id.y * ${vocabSize} + id.x] = table[u32(tokens[id.y]) * ${vocabSize} + id.x];
        }
      }`,
      `@group(0) @binding(0) var<storage, read_write> symbols: vec4<u32>;
      @group(0) @binding(1) var<storage, read_write> tokens: array<i32>;
      @group(0) @binding(2) var<storage, read_write> logits: array<f32>;
      @group(0) @binding(3) var<storage, read_write> sampled: array<u32>;
      @compute @workgroup_size(1) fn main() {
        let row = (symbols.x - 1) * ${vocabSize};
        var best = 0u;
        for (var i = 1u; i < ${vocabSize}; i++) {
          if (logits[row + i] > logits[row + best]) { best = i; }
        }
        sampled[(symbols.y + symbols.x - 1) % 16] = best;
        tokens[0] = i32(best);
        symbols.y += symbols.x;
        symbols.x = 1;
      }`,
      `@group(0) @binding(0) var<storage, read_write> symbols: vec4<u32>;
      @group(0) @binding(1) var<storage, read_write> logits: array<f32>;
      @group(0) @binding(2) var<storage, read_write> found: array<u32>;
      @compute @workgroup_size(1) fn main() {
        let row = (symbols.x - 1) * ${vocabSize};
        for (var k = 0u; k < ${candidateCount}; k++) {
          var best = ${vocabSize}u;
          for (var i = 0u; i < ${vocabSize}; i++) {
            var taken = false;
            for (var j = 0u; j < k; j++) { taken = taken || found[j] == i; }
            if (!taken && (best == ${vocabSize} || logits[row + i] > logits[row + best])) { best = i; }
          }
          found[k] = best;
          found[${candidateCount} + k] = bitcast<u32>(logits[row + best]);
        }
      }`,
    ],
    pipelines: [
      { label: "rows", module: 0, bindings: ["constant", "value", "value"] },
      { label: "likeliest", module: 1, bindings: ["value", "value", "value", "value"] },
      { label: "candidates", module: 2, bindings: ["value", "value", "value"] },
    ],
    buffers: [
      {
        kind: "weights",
        size: tableSize,
        parts: [{ value: 2, layout: "plain", from: 0, size: tableSize, offset: 0 }],
      },
      { kind: "input", name: "tokens", size: tokensSize },
      { kind: "output", name: "logits", size: logitsSize },
      { kind: "sampled", size: 64 },
      { kind: "candidates", count: candidateCount },
      { kind: "symbols" },
    ],
    variants: [
      {
        name: "only",
        needs: {
          features: [],
          languageFeatures: [],
          limits: {},
          minSubgroupSize: 0,
          software: false,
          ...needs,
        },
        arenaSize: 0,
        schedules: [
          {
            name: "any",
            when: [{ symbol: "S", min: 1, max: maxSeqLen / 2 }],
            steps: [step("rows", 0, [0, 1, 2], [Math.ceil(vocabSize / 64), symbol("S", maxSeqLen, 1), 1])],
          },
        ],
        greedy: [step("likeliest", 1, [5, 1, 2, 3], [1, 1, 1])],
        candidates: [step("candidates", 2, [5, 2, 4], [1, 1, 1])],
      },
    ],
  };
}

const blob = (key: string, bytes: Uint8Array): NamedBlob => ({
  key,
  size: bytes.byteLength,
  async *stream() {
    yield bytes;
  },
});
