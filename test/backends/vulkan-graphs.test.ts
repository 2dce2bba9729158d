import { describe, expect, test } from "vitest";
import { lowerToKernels } from "../../src/backends/portable/lower.ts";
import { toMethod } from "../../src/backends/portable/method.ts";
import { delegateData } from "../../src/backends/vulkan/data.ts";
import { lowerPartition } from "../../src/backends/vulkan/lower.ts";
import { partitionGraph } from "../../src/backends/vulkan/partition.ts";
import { computedWeight } from "../../src/ir/weights.ts";
import type { VulkanGraph } from "../../src/serialize/vulkan-graph.ts";
import { compare, namedGraph, numbers, product } from "./vulkan-run.ts";

const rounding = 2e-6;
const opsOf = ({ calls }: VulkanGraph): string[] => calls.map(({ op }) => op);
const count = (graph: VulkanGraph, op: string): number => opsOf(graph).filter((each) => each === op).length;
const rotate = "et_vk.apply_rotary_emb_hf.default";
const attend = "sdpa_with_kv_cache.default";
const clone = "aten.clone.default";

const symbols = ["symbol P 0..16", "symbol S 1..8"];
const start = `%p = input "start_pos" = [P] : i64[1]`;
const positions = [
  { S: 3, P: 0 },
  { S: 8, P: 8 },
  { S: 1, P: 3 },
  { S: 4, P: 4 },
];

describe("rotations", () => {
  const tables = [
    `%c = const f32[16, 4] {${numbers(64)}}`,
    `%s = const f32[16, 4] {${numbers(64, 5)}}`,
    `%d = const f32[16, 4] {${numbers(64, 9)}}`,
  ];
  const turn = (from: string, cos = "c", startPosition = ", start_pos: %p", heads = 2): string =>
    `nn.rope(x: %${from}, cos: %${cos}, sin: %s${startPosition}) {"interleaved":false} : f32[1, ${heads}, S, 8]`;
  const both = (queryHeads: number, keyHeads: number, queries: string, keys: string): readonly string[] => [
    ...symbols,
    start,
    `%q = input "q" : f32[1, ${queryHeads}, S, 8]`,
    `%k = input "k" : f32[1, ${keyHeads}, S, 8]`,
    ...tables,
    `%x = ${queries}`,
    `%y = ${keys}`,
    `output "x" %x`,
    `output "y" %y`,
    ...product,
  ];
  const cases = {
    "of queries and fewer keys are one call": [1, both(4, 2, turn("q", "c", undefined, 4), turn("k"))],
    "of as many keys are one call": [1, both(2, 2, turn("q"), turn("k"))],
    "of more keys than queries are two": [2, both(2, 4, turn("q"), turn("k", "c", undefined, 4))],
    "by other angles are two": [2, both(2, 2, turn("q"), turn("k", "d"))],
    "from other positions are two": [2, both(2, 2, turn("q"), turn("k", "c", ""))],
    // The first one is done before the second begins.
    "one of the other's result": [2, both(2, 2, turn("q"), turn("x"))],
  } as const;

  test.each(Object.entries(cases))("%s", async (_, [calls, lines]) => {
    const { error, graphs } = await compare(namedGraph(lines), { calls: positions });
    expect(error).toBeLessThan(rounding);
    expect(graphs.length).toBe(1);
    expect(count(graphs[0]!, rotate)).toBe(calls);
  });

  test("three, of which two are one call, and the last has an output of another shape", async () => {
    const lines = [
      ...both(2, 2, turn("q"), turn("k")),
      `%v = input "v" : f32[1, 2, S, 8]`,
      `%z = ${turn("v")}`,
      `%t = transpose(x: %z) {"perm":[0,2,1,3]} : f32[1, S, 2, 8]`,
      `output "z" %z`,
      `output "t" %t`,
    ];
    const { error, graphs } = await compare(namedGraph(lines), { calls: positions });
    expect(error).toBeLessThan(rounding);
    expect(count(graphs[0]!, rotate)).toBe(2);
  });
});

/** Attention over two caches of 16 positions. */
const cached = (
  heads: number,
  keyHeads: number,
  width: number,
  scale: number,
  more = "",
): readonly string[] => [
  ...symbols,
  start,
  `%q = input "q" : f32[1, S, ${heads * width}]`,
  ...["k", "v"].map((name) => `%${name} = input "${name}" : f32[1, S, ${keyHeads * width}]`),
  `%kc = state "kv.0.key" : f32[1, ${keyHeads}, 16, ${width}]`,
  `%vc = state "kv.0.value" : f32[1, ${keyHeads}, 16, ${width}]`,
  `%sq = dims [1, S, ${heads}, ${width}] : i64[4]`,
  `%sk = dims [1, S, ${keyHeads}, ${width}] : i64[4]`,
  ...["q", "k", "v"].flatMap((name) => {
    const count = name === "q" ? heads : keyHeads;
    return [
      `%${name}r = reshape(x: %${name}, shape: %s${name === "q" ? "q" : "k"}) : f32[1, S, ${count}, ${width}]`,
      `%${name}t = transpose(x: %${name}r) {"perm":[0,2,1,3]} : f32[1, ${count}, S, ${width}]`,
    ];
  }),
  `%ku = kv.update(cache: %kc, new: %kt, start_pos: %p) : f32[1, ${keyHeads}, 16, ${width}]`,
  `%vu = kv.update(cache: %vc, new: %vt, start_pos: %p) : f32[1, ${keyHeads}, 16, ${width}]`,
  `%a = nn.sdpa(q: %qt, k: %ku, v: %vu, start_pos: %p) {"causal":true,"scale":${scale},"softcap":0,"window":0${more}} : f32[1, ${heads}, S, ${width}]`,
  `%b = transpose(x: %a) {"perm":[0,2,1,3]} : f32[1, S, ${heads}, ${width}]`,
  `%sy = dims [1, S, ${heads * width}] : i64[3]`,
  `%y = reshape(x: %b, shape: %sy) : f32[1, S, ${heads * width}]`,
  `output "y" %y`,
];

/** A prompt, more of it, single tokens, and a new beginning that leaves old rows behind it. */
const conversation = [
  { S: 5, P: 0 },
  { S: 1, P: 5 },
  { S: 8, P: 6 },
  { S: 1, P: 14 },
  { S: 2, P: 0 },
  { S: 3, P: 2 },
];

describe("attention over caches", () => {
  test.each([
    [4, 2, 4, 0.5, "heads that share keys"],
    [4, 4, 8, 1 / Math.sqrt(8), "as many key heads"],
    [6, 1, 4, 0.8, "one key head, a scale of its own"],
  ])("%i heads, %i of keys, width %i, scale %f: %s", async (heads, keyHeads, width, scale) => {
    const { error, graphs, report, diagnostics } = await compare(
      namedGraph(cached(heads, keyHeads, width, scale)),
      { calls: conversation },
    );
    expect(error).toBeLessThan(rounding);
    expect({ report, diagnostics }).toEqual({
      report: { groups: { "delegate 0": 11 }, refused: [] },
      diagnostics: [],
    });
    // The scale of the op, 1/√D, needs no call.
    const scaled = Math.abs(scale * Math.sqrt(width) - 1) < 1e-6 ? [] : ["aten.mul.Tensor"];
    expect(new Set(opsOf(graphs[0]!))).toEqual(
      new Set([
        "aten.view_copy.default",
        "et_vk.select_as_symint.default",
        "sym_size.int",
        ...scaled,
        attend,
      ]),
    );
  });

  test("in two layers has four caches and one piece of zeros", async () => {
    const one = cached(4, 2, 4, 0.5);
    const first = one.filter((line) => !line.startsWith("output"));
    const second = one
      .filter((line) => !/ = (input|dims) |^symbol|^output/.test(line))
      .map((line) => line.replaceAll("kv.0", "kv.1").replace(/%([a-oq-z]\w*)/g, "%$1x"))
      .map((line) => line.replace(/shape: %(\w+)x\)/, "shape: %$1)").replace("x: %qx,", "x: %y,"))
      .map((line) => line.replace(/x: %([kv])x,/, "x: %$1,"));
    const { error, graphs } = await compare(namedGraph([...first, ...second, `output "y" %yx`]), {
      calls: conversation,
    });
    expect(error).toBeLessThan(rounding);
    const [{ calls, values, constants }] = graphs as [VulkanGraph];
    const caches = calls.flatMap(({ op, args }) => (op === attend ? args.slice(3, 5) : []));
    expect(new Set(caches).size).toBe(4);
    expect(new Set(caches.map((at) => (values[at] as { constant?: number }).constant)).size).toBe(1);
    expect(constants.length).toBe(1);
  });

  test("without a product or anything else around it is worth a delegate", async () => {
    const lines = [
      ...symbols,
      start,
      `%q = input "q" : f32[1, 2, S, 4]`,
      `%k = input "k" : f32[1, 2, S, 4]`,
      `%kc = state "kv.0.key" : f32[1, 2, 16, 4]`,
      `%vc = state "kv.0.value" : f32[1, 2, 16, 4]`,
      "%ku = kv.update(cache: %kc, new: %k, start_pos: %p) : f32[1, 2, 16, 4]",
      "%vu = kv.update(cache: %vc, new: %q, start_pos: %p) : f32[1, 2, 16, 4]",
      `%a = nn.sdpa(q: %q, k: %ku, v: %vu, start_pos: %p) {"causal":true,"scale":0.5,"softcap":0,"window":0} : f32[1, 2, S, 4]`,
      `output "y" %a`,
    ];
    const { error, report } = await compare(namedGraph(lines), { calls: conversation });
    expect(error).toBeLessThan(rounding);
    expect(report).toEqual({ groups: { "delegate 0": 3 }, refused: [] });
  });
});

describe("what a delegate returns", () => {
  const x = `%x = input "x" : f32[2, S, 4]`;
  const from = (...lines: string[]): readonly string[] => ["symbol S 1..8", x, ...lines, ...product];
  const cases: Readonly<Record<string, { lines: readonly string[]; clones: number }>> = {
    "an input": {
      lines: from("%y = neg(x: %x) : f32[2, S, 4]", `output "y" %y`, `output "x" %x`),
      clones: 0,
    },
    "a constant": {
      lines: from(
        "%w = const f32[4] {1, 2, 3, 4}",
        "%y = add(a: %x, b: %w) : f32[2, S, 4]",
        `output "y" %y`,
        `output "w" %w`,
      ),
      clones: 0,
    },
    "one value under two names": {
      lines: from("%y = neg(x: %x) : f32[2, S, 4]", `output "y" %y`, `output "z" %y`),
      clones: 0,
    },
    "an input under another shape that is the same": {
      lines: from(
        "%d = dims [2, S, 4] : i64[3]",
        "%y = reshape(x: %x, shape: %d) : f32[2, S, 4]",
        `output "y" %y`,
      ),
      clones: 1,
    },
    "a constant that a node changes nothing of": {
      lines: from(
        "%w = const f32[2, 2] {1, 2, 3, 4}",
        "%d = dims [2, 2] : i64[2]",
        "%y = reshape(x: %w, shape: %d) : f32[2, 2]",
        `output "y" %y`,
      ),
      clones: 1,
    },
    "two values with the same elements": {
      lines: from(
        "%d = dims [2, S, 4] : i64[3]",
        "%n = neg(x: %x) : f32[2, S, 4]",
        "%y = reshape(x: %n, shape: %d) : f32[2, S, 4]",
        `output "n" %n`,
        `output "y" %y`,
      ),
      clones: 1,
    },
    "a value that is used again after it": {
      lines: from(
        "%n = neg(x: %x) : f32[2, S, 4]",
        "%m = exp(x: %n) : f32[2, S, 4]",
        "%o = mul(a: %m, b: %n) : f32[2, S, 4]",
        "%q = abs(x: %o) : f32[2, S, 4]",
        `output "n" %n`,
        `output "q" %q`,
        `output "o" %o`,
      ),
      clones: 0,
    },
    "heads swapped twice": {
      lines: [
        "symbol S 1..8",
        `%x = input "x" : f32[1, S, 2, 4]`,
        `%y = transpose(x: %x) {"perm":[0,2,1,3]} : f32[1, 2, S, 4]`,
        `%z = transpose(x: %y) {"perm":[0,2,1,3]} : f32[1, S, 2, 4]`,
        `output "y" %y`,
        `output "z" %z`,
        ...product,
      ],
      clones: 1,
    },
  };
  test.each(Object.entries(cases))("%s", async (_, { lines, clones }) => {
    const { error, graphs } = await compare(namedGraph(lines));
    expect(error).toBeLessThanOrEqual(1e-6);
    expect(count(graphs[0]!, clone)).toBe(clones);
  });
});

describe("what is computed once", () => {
  const ternary = (name: string, codes: string, scale: string): readonly string[] => [
    `%w${name} = const i8[4, 8] {${codes}}`,
    `%${name} = bitnet.linear(x: %x, weight: %w${name}, scale: %${scale}) {"activations":"int8-per-token","group":0} : f32[2, S, 4]`,
    `output "${name}" %${name}`,
  ];
  const codes = (shift: number) => Array.from({ length: 32 }, (_, i) => ((i + shift) % 3) - 1).join(", ");

  test("projections of one input share its codes, and those with one scale their divisor", async () => {
    const lines = [
      "symbol S 1..8",
      `%x = input "x" : f32[2, S, 8]`,
      "%s = const f32[1] {0.3}",
      "%t = const f32[1] {0.7}",
      ...ternary("a", codes(0), "s"),
      ...ternary("b", codes(1), "s"),
      ...ternary("c", codes(2), "t"),
    ];
    const { error, graphs } = await compare(namedGraph(lines));
    expect(error).toBe(0);
    const graph = graphs[0]!;
    expect(count(graph, "aten.round.default")).toBe(1);
    expect(count(graph, "aten.amax.default")).toBe(1);
    expect(count(graph, "et_vk.linear_q4gsw.default")).toBe(3);
    // The one of x by s, and one for each of the scales.
    expect(count(graph, "aten.mul.Tensor")).toBe(3);
    expect(count(graph, "aten.div.Tensor")).toBe(1 + 3);
    // x and the three results.
    expect(count(graph, "aten.view_copy.default")).toBe(4);
  });
});

test("projections of two inputs have codes and scales of their own", async () => {
  const lines = [
    "symbol S 1..8",
    ...["x", "y"].flatMap((name) => [
      `%${name} = input "${name}" : f32[2, S, 8]`,
      `%w${name} = const i8[4, 8] {${Array.from({ length: 32 }, (_, i) => (i % 3) - 1).join(", ")}}`,
      `%r${name} = bitnet.linear(x: %${name}, weight: %w${name}, scale: %s) {"activations":"int8-per-token","group":0} : f32[2, S, 4]`,
      `output "${name}" %r${name}`,
    ]),
  ];
  const { error, graphs } = await compare(namedGraph(["%s = const f32[1] {0.3}", ...lines]));
  expect(error).toBe(0);
  expect(count(graphs[0]!, "aten.round.default")).toBe(2);
});

test("as many rows are looked up as there can be ids, and those that there are not are cut off", async () => {
  const lines = [
    "symbol S 1..8",
    `%x = input "x" : i64[1, S]`,
    `%t = const f32[7, 3] {${numbers(21)}}`,
    "%y = nn.embedding(table: %t, ids: %x) : f32[1, S, 3]",
    "%w = const f32[1, 3] {1, 2, 3}",
    "%z = nn.linear(x: %y, weight: %w) : f32[1, S, 1]",
    `output "z" %z`,
  ];
  const { error, graphs } = await compare(namedGraph(lines), { range: [0, 6] });
  expect(error).toBeLessThan(rounding);
  expect(opsOf(graphs[0]!).slice(0, 3)).toEqual([
    "aten.embedding.default",
    "sym_size.int",
    "aten.slice_copy.Tensor",
  ]);
});

describe("a table that is larger than a buffer", () => {
  const [rows, depth] = [200_000, 1024];
  const graph = namedGraph(
    [
      `%ids = input "ids" : i64[1, 2]`,
      `%t = const @"table" : f32[${rows}, ${depth}]`,
      `%b = const @"bias" : f32[${rows}]`,
      `%x = nn.embedding(table: %t, ids: %ids) : f32[1, 2, ${depth}]`,
      "%n = neg(x: %x) : f32[1, 2, 1024]",
      `%y = nn.linear(x: %n, weight: %t, bias: %b) : f32[1, 2, ${rows}]`,
      `output "y" %y`,
    ],
    Object.fromEntries(
      [["table", "f32", [rows, depth]] as const, ["bias", "f32", [rows]] as const].map(
        ([id, dtype, shape]) => [
          id,
          computedWeight(id, dtype, shape, () => {
            throw new Error("nothing is read to be placed");
          }),
        ],
      ),
    ),
  );
  const partition = partitionGraph(graph, new Map());
  const { steps, delegates } = lowerPartition(graph, partition, new Map());

  test("is looked up outside, and multiplied by parts", () => {
    expect(partition.refusals.map(({ op, why }) => `${op}: ${why}`)).toEqual([
      `nn.embedding: table has ${rows * depth} elements, and a buffer of ExecuTorch's ${2 ** 27}`,
    ]);
    const calls = delegates.flatMap((delegate) => delegate.calls);
    const linears = calls.filter(({ op }) => op === "aten.linear.default");
    const first = 2 ** 27 / depth;
    expect(linears.map(({ args: [, weight, bias] }) => [weight, bias])).toEqual(
      [
        [0, first],
        [first, rows],
      ].map(([from, to]) => [
        {
          kind: "constant",
          weight: expect.objectContaining({ shape: [to! - from!, depth] }),
          rowsOf: expect.objectContaining({ from }),
        },
        {
          kind: "constant",
          weight: expect.objectContaining({ shape: [to! - from!] }),
          rowsOf: expect.objectContaining({ from }),
        },
      ]),
    );
    expect(calls.at(-2)).toMatchObject({
      op: "aten.cat.default",
      args: [linears.map(({ result }) => result), -1],
      result: { shape: [2, rows] },
    });
  });

  test("is in the file once, for both", () => {
    const kernels = lowerToKernels(graph, "none", steps);
    const { constants } = toMethod("forward", kernels);
    const data = [...delegateData(delegates, constants).values()];
    const table = constants.find(({ size }) => size === 4 * rows * depth)!;
    const ofTable = data.filter((entry) => "offset" in entry);
    const bytes = 4 * depth * (2 ** 27 / depth);
    expect(ofTable.map(({ offset, size }) => [offset, size])).toEqual([
      [table.offset, bytes],
      [table.offset + bytes, 4 * rows * depth - bytes],
    ]);
    expect(data.filter((entry) => "stream" in entry).map(({ size }) => size)).toEqual([
      4 * (2 ** 27 / depth),
      4 * (rows - 2 ** 27 / depth),
    ]);
  });
});

test("a constant that kernels use as well is in the file once", async () => {
  const lines = [
    "symbol S 1..8",
    `%x = input "x" : f32[1, S, 64]`,
    `%w = const f32[64, 64] {${numbers(4096)}}`,
    "%y = nn.linear(x: %x, weight: %w) : f32[1, S, 64]",
    `%i = input "i" : i64[2]`,
    `%r = gather(x: %w, indices: %i) {"axis":1} : f32[64, 2]`,
    `output "y" %y`,
    `output "r" %r`,
  ];
  const { error, bytes } = await compare(namedGraph(lines), { range: [0, 3] });
  expect(error).toBeLessThan(rounding);
  expect(bytes.length).toBeGreaterThan(4 * 4096);
  expect(bytes.length).toBeLessThan(1.5 * 4 * 4096);
});
