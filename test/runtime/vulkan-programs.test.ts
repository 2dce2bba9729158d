import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { open, type Session } from "../../src/runtime/index.ts";
import { openPortable } from "../../src/runtime/portable.ts";
import type { ProgramTables } from "../../src/serialize/program.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { writeVulkanBlob } from "../../src/serialize/vulkan-blob-writer.ts";
import type { VulkanGraph } from "../../src/serialize/vulkan-graph.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { addend, writeKernelSample } from "../serialize/kernel-sample.ts";
import { vulkanBlob } from "../serialize/stock-program.ts";
import { PortableProgram } from "./portable-program.ts";
import { elements, f32, GraphWriter, i64, problemOf, range } from "./vulkan-graph.ts";

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const onCpu = (bytes: Uint8Array): Promise<Session> => open(bytes, { device: "cpu", portable: openPortable });

const vocabSize = 8;
const capacity = 12;
const callSize = 4;

/** From tokens to rows that are all 0 but for a 1 at the token. */
function embeddingGraph() {
  const g = new GraphWriter();
  const tokens = g.tensor("i32", [1, callSize]);
  const rows = g.tensor("f32", [1, callSize, vocabSize]);
  const identity = tensor("f32", [vocabSize, vocabSize]);
  for (let i = 0; i < vocabSize; i++) identity.data[i * vocabSize + i] = 1;
  const flags = [g.int(-1), g.bool(false), g.bool(false)];
  g.call("aten.embedding.default", g.constant(identity), tokens, ...flags, rows);
  return { g, graph: g.graph([tokens], [rows]) };
}

/** From the negated rows and a position to how often each token has been there, of all positions so far. */
function countingGraph() {
  const g = new GraphWriter();
  const shape = [1, callSize, 1, vocabSize];
  const negated = g.tensor("f32", [1, callSize, vocabSize]);
  const position = g.tensor("i32", [1]);
  const start = g.symbol();
  g.call("et_vk.select_as_symint.default", position, g.int(0), g.int(0), start);
  const [rows, heads, zeros, seen] = [0, 1, 2, 3].map((i) =>
    g.tensor("f32", i === 0 ? [1, callSize, vocabSize] : shape),
  ) as [number, number, number, number];
  g.call("aten.neg.default", negated, rows);
  g.call("aten.view_copy.default", rows, g.ints(1, -1, 1, vocabSize), heads);
  g.call("aten.mul.Tensor", heads, g.constant(f32([1], 0)), zeros);
  const cache = g.constant(tensor("f32", [1, capacity, 1, vocabSize]));
  const none = g.none();
  const rest = [start, g.int(1), none, none, none, none, seen];
  g.call("sdpa_with_kv_cache.default", zeros, heads, heads, cache, cache, ...rest);
  const [last, logits] = [g.tensor("f32", [1, 1, vocabSize]), g.tensor("f32", [1, vocabSize])];
  g.call("aten.select_copy.int", seen, g.int(1), g.int(-1), last);
  g.call("aten.view_copy.default", last, g.ints(1, vocabSize), logits);
  return { g, graph: g.graph([negated, position], [logits]) };
}

interface Parts {
  readonly graphs?: readonly { readonly g: GraphWriter; readonly graph: VulkanGraph }[];
  readonly blob?: (graph: VulkanGraph, delegate: number) => Uint8Array;
  readonly data?: (data: Record<string, Uint8Array>) => Record<string, Uint8Array>;
  readonly id?: string;
  readonly call?: (args: readonly number[]) => readonly number[];
  readonly dtype?: "f32" | "i64";
}

/**
 * A language model whose likeliest token is the most frequent so far: a delegate, an operator of ExecuTorch's and another
 * delegate. Its blobs and what they need are named data.
 */
function countingModel({
  graphs = [embeddingGraph(), countingGraph()],
  blob = writeVulkanBlob,
  data = (all) => all,
  id = "VulkanBackend",
  call = (args) => args,
  dtype = "f32",
}: Parts = {}): Uint8Array {
  const p = new PortableProgram();
  const dynamic = { isDynamic: true };
  const tokens = p.planned("i64", [1, callSize], dynamic);
  const position = p.planned("i64", [1]);
  const [rows, negated] = [0, 1].map(() => p.planned("f32", [1, callSize, vocabSize], dynamic)) as [
    number,
    number,
  ];
  const logits = p.planned(dtype, [1, vocabSize]);
  p.instructions.push({ type: "DelegateCall", delegate: 0, args: [tokens, rows] });
  p.out("aten::neg.out", rows, negated);
  p.instructions.push({ type: "DelegateCall", delegate: 1, args: call([negated, position, logits]) });
  const renamed = graphs.map(({ graph }, i) => ({
    ...graph,
    constants: graph.constants.map((each) => ("key" in each ? { ...each, key: `${i} ${each.key}` } : each)),
  }));
  const blobs = Object.fromEntries(renamed.map((graph, i) => [`blob ${i}`, blob(graph, i)]));
  const named = graphs.flatMap(({ g }, i) =>
    Object.entries(g.data).map(([key, bytes]) => [`${i} ${key}`, bytes] as const),
  );
  const namedData = { ...blobs, ...data(Object.fromEntries(named)) };
  const firstSegment = 2;
  return p.build([tokens, position], [logits], {
    constantMethods: { get_max_seq_len: capacity, get_eos_ids: [7], get_bos_id: 0 },
    namedData,
    change: (tables): ProgramTables => ({
      ...tables,
      methods: tables.methods.map((method, m) =>
        m > 0
          ? method
          : {
              ...method,
              delegates: graphs.map((_, i) => ({
                id,
                location: "SEGMENT",
                index: firstSegment + i,
                specs: [],
              })),
            },
      ),
      namedData: tables.namedData.filter(({ key }) => !key.startsWith("blob")),
    }),
  });
}

async function generated(session: Session, ids: readonly number[], maxNewTokens = 2): Promise<number[]> {
  const made: number[] = [];
  for await (const { id } of session.generate({ ids }, { maxNewTokens, ignoreEos: true })) made.push(id);
  return made;
}

describe("a language model of delegates and operators", () => {
  test("has the form of one", async () => {
    const session = await onCpu(countingModel());
    expect(session.info).toMatchObject({
      inputs: [
        { name: "tokens", dtype: "i64", shape: [1, "s0<=4"] },
        { name: "start_pos", dtype: "i64", shape: [1] },
      ],
      outputs: [{ name: "logits", dtype: "f32", shape: [1, vocabSize] }],
      isLanguageModel: true,
      hasCache: true,
      maxSeqLen: capacity,
    });
  });

  test("continues token sequences", async () => {
    const session = await onCpu(countingModel());
    // More tokens than one call takes.
    expect(await generated(session, [1, 2, 2, 3, 5, 2])).toEqual([2, 2]);
    expect(await generated(session, [1, 2, 2, 4, 4, 4], 1)).toEqual([4]);
    session.kv.reset();
    const outputs = await session.run({ tokens: i64([1, 2], 6, 1), start_pos: i64([1], 0) });
    expect(elements(outputs.logits)).toEqual([0, 0.5, 0, 0, 0, 0, 0.5, 0]);
  });

  test("goes on from what it saved", async () => {
    const session = await onCpu(countingModel());
    await generated(session, [5, 5, 3, 2], 1);
    const saved = await session.kv.save();
    const other = await onCpu(countingModel());
    await other.kv.restore(saved);
    expect(other.kv.length).toBe(session.kv.length);
    const next = { tokens: i64([1, 1], 3), start_pos: i64([1], 4) };
    const expected = await session.run(next);
    expect(elements((await other.run(next)).logits)).toEqual(elements(expected.logits));
    expect(elements(expected.logits)[3]).toBeCloseTo(0.4, 6);
  });

  test("tells programs with other weights apart", async () => {
    const session = await onCpu(countingModel());
    await generated(session, [5, 5, 3, 2], 1);
    const saved = await session.kv.save();
    const changed = countingModel({
      data: (data) => ({ ...data, "0 data 0": Uint8Array.from(data["0 data 0"]!).fill(1, 0, 1) }),
    });
    const problem = await problemOf(async () => (await onCpu(changed)).kv.restore(saved));
    expect(problem.code).toBe("kv-snapshot");
  });

  test("tells where a run failed", async () => {
    const session = await onCpu(countingModel());
    const tokens = i64([1, 2], 0, vocabSize);
    const problem = await problemOf(() => session.run({ tokens, start_pos: i64([1], 0) }));
    expect(problem.code).toBe("run-failed");
    expect(problem.message).toContain("aten.embedding.default: Id 8 is outside the vocabulary");
    expect(problem.diagnostics[0]?.at).toBe("call 0 of delegate 0 of forward");
  });

  test("needs what opens such programs", async () => {
    const problem = await problemOf(() => open(countingModel(), { device: "cpu" }));
    expect(problem.code).toBe("program-backend");
  });
});

test("a delegate alone, with constants in its blob, as flatc writes it", async () => {
  const constants = new Uint8Array(32);
  new Float32Array(constants.buffer).set([9, 9, 9, 9, 1, 2, 3, 4]);
  const value = (dims: number[], more: object = {}) => ({
    value_type: "VkTensor",
    value: {
      ...{ datatype: "FLOAT32", dims, constant_id: -1, mem_obj_id: -1 },
      ...{ storage_type: "BUFFER", memory_layout: "TENSOR_WIDTH_PACKED", ...more },
    },
  });
  const blob = vulkanBlob(
    {
      version: "0",
      values: [value([2, 4]), value([4], { constant_id: 0 }), value([2, 4])],
      chain: [{ node_id: 0, name: "aten.mul.Tensor", args: [0, 1, 2] }],
      input_ids: [0],
      output_ids: [2],
      constants: [{ offset: 16, length: 16 }],
      shaders: [],
    },
    constants,
  );
  const p = new PortableProgram();
  const [x, y] = [
    p.planned("f32", [2, 4], { isDynamic: true }),
    p.planned("f64", [2, 4], { isDynamic: true }),
  ];
  p.instructions.push({ type: "DelegateCall", delegate: 0, args: [x, y] });
  const program = p.build([x], [y], {
    namedData: { blob },
    change: (tables) => ({
      ...tables,
      namedData: [],
      methods: tables.methods.map((method) => ({
        ...method,
        delegates: [{ id: "VulkanBackend", location: "SEGMENT" as const, index: 2, specs: [] }],
      })),
    }),
  });
  const session = await onCpu(program);
  for (const rows of [2, 1]) {
    const { output0 } = await session.run({ input0: f32([rows, 4], ...Array(4 * rows).fill(2)) });
    expect(output0).toMatchObject({ dtype: "f64", shape: [rows, 4] });
    expect(elements(output0)).toEqual(Array(rows).fill([2, 4, 6, 8]).flat());
  }
});

describe("a program with hashes", async () => {
  const { bytes } = await writeKernelSample();
  const x = f32([2, 3], 0, 0, 0, 0, 0, 0);

  test("runs", async () => {
    const { y } = await (await onCpu(bytes)).run({ x });
    expect(elements(y)).toEqual([12, 22, 33.5, 44.5, 71, 51]);
  });

  test.each(["data of a delegate", "a delegate"])("is refused when %s is damaged", async (what) => {
    const { segments, namedData, delegates } = await readProgram(bytesSource("model.pte", bytes));
    const damaged = delegates[0]!.data;
    const segment = what === "a delegate" ? damaged : namedData.get(hashOf(addend))!;
    const at = Number(/\[(\d+)\+/.exec(segment.id)![1]);
    expect(segments).toContain(segment);
    for (let i = 0; i < segment.size; i++) {
      const problem = await problemOf(() => onCpu(bytes.with(at + i, bytes[at + i]! ^ 1)));
      expect(problem.code).toBe("program-hash");
    }
  });
});

describe("refuses", () => {
  const without = (graph: VulkanGraph, change: (bytes: Uint8Array) => Uint8Array): Uint8Array =>
    change(writeVulkanBlob(graph));
  const broken = (change: (bytes: Uint8Array) => Uint8Array): Parts => ({
    blob: (graph, i) => (i === 1 ? without(graph, change) : writeVulkanBlob(graph)),
  });
  const programs: Readonly<Record<string, readonly [Parts, string, RegExp]>> = {
    "a blob that is cut": [broken((bytes) => bytes.subarray(0, 100)), "vulkan-corrupt", /puts \d+ bytes/],
    "a blob of another format": [broken((bytes) => bytes.fill(0, 4, 8)), "vulkan-corrupt", /not "VH00"/],
    "data that is missing": [
      { data: ({ "0 data 0": _, ...rest }) => rest },
      "program-corrupt",
      /delegate 0 of forward needs 256 bytes of data 0 data 0, which has none/,
    ],
    "data that is too short": [
      { data: (all) => ({ ...all, "0 data 0": all["0 data 0"]!.subarray(0, 255) }) },
      "program-corrupt",
      /needs 256 bytes of data 0 data 0, which has 255/,
    ],
    "a cache that there is no room for": [
      {
        blob(graph, i) {
          if (i === 0) return writeVulkanBlob(graph);
          const g = new GraphWriter();
          const [x, position, logits, cache] = [
            ...[g.tensor("f32", [1, callSize, vocabSize]), g.tensor("i32", [1])],
            ...[g.tensor("f32", [1, vocabSize]), g.tensor("f32", [1, 2 ** 31, 2 ** 10, 4])],
          ] as [number, number, number, number];
          const rows = g.tensor("f32", [1, callSize, 2 ** 10, 4]);
          g.call("aten.full.default", g.ints(1, 1, 2 ** 10, 4), g.int(0), ...range(4).map(g.none), rows);
          g.call("update_cache.default", rows, cache, g.int(0), g.none());
          g.call("aten.select_copy.int", x, g.int(1), g.int(0), logits);
          return writeVulkanBlob(g.graph([x, position], [logits]));
        },
      },
      "program-corrupt",
      /there is no room for what delegate 1 of forward keeps/,
    ],
    "another backend": [{ id: "XnnpackBackend" }, "program-backend", /for XnnpackBackend/],
    "too few arguments": [
      { call: (args) => args.slice(1) },
      "program-corrupt",
      /instruction 2 of forward calls delegate 1 of forward with 2 arguments in place of 3/,
    ],
    "arguments of other types": [{ dtype: "i64" }, "program-corrupt", /with i64 for f32 as argument 2/],
    "arguments of other ranks": [
      { call: ([rows, , logits]) => [rows!, rows!, logits!] },
      "program-corrupt",
      /with f32 for i32 as argument 1/,
    ],
    "ops that are not there": [
      {
        graphs: [embeddingGraph(), countingGraph()].map(({ g, graph }) => ({
          g,
          graph: { ...graph, calls: graph.calls.map((each) => ({ ...each, op: `${each.op}.other` })) },
        })),
      },
      "operator-missing",
      /aten.embedding.default.other[\s\S]*aten.view_copy.default.other/,
    ],
  };
  test.each(Object.entries(programs))("%s", async (_, [parts, code, message]) => {
    const problem = await problemOf(() => onCpu(countingModel(parts)));
    expect([problem.code, problem.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test("never crashes, whichever byte of a blob is another", async () => {
    const codes = new Set<string>();
    const size = writeVulkanBlob(countingGraph().graph).length;
    const given = { tokens: i64([1, 2], 6, 1), start_pos: i64([1], 0) };
    for (let i = 0; i < size; i += 3) {
      const flipped = broken((bytes) => bytes.fill(bytes[i]! ^ [1, 0x10, 0x80, 0xff][i % 4]!, i, i + 1));
      try {
        const session = await onCpu(countingModel(flipped));
        await session.run(given);
      } catch (error) {
        if (!(error instanceof BitnetcError)) throw error;
        codes.add(error.code);
      }
    }
    expect([...codes]).toEqual(
      expect.arrayContaining(["operator-missing", "program-corrupt", "vulkan-corrupt"]),
    );
  });
});
