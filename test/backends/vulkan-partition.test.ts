import { describe, expect, test } from "vitest";
import { computedWeight, type WeightRef } from "../../src/ir/weights.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { codes, compare, namedGraph, numbers, place, product, type Sizes } from "./vulkan-run.ts";

const rounding = 2e-6;
const input = (name: string, type: string): string => `%${name} = input "${name}" : ${type}`;
const symbols = ["symbol P 0..8", "symbol S 1..8"];
const start = `%p = input "start_pos" = [P] : i64[1]`;

/** A weight that is too large to be read. */
const unread = (id: string, dtype: DType, shape: readonly number[]): WeightRef =>
  computedWeight(id, dtype, shape, () => {
    throw new Error("nothing is read to be placed");
  });

interface Case {
  /** Part of the sentence. */
  readonly why: string;
  readonly lines: readonly string[];
  readonly node: string;
  readonly weights?: readonly WeightRef[];
  readonly range?: readonly [number, number];
  readonly calls?: readonly Sizes[];
  /** It is too large to be run. */
  readonly isLarge?: boolean;
  readonly error?: number;
}

const ternary = (why: string, rows: number, depth: number, group: number): Case => {
  const groups = group === 0 ? "1" : `${rows}, ${depth / group}`;
  const count = group === 0 ? 1 : (rows * depth) / group;
  return {
    why,
    lines: [
      input("x", `f32[1, S, ${depth}]`),
      `%w = const @"codes" : i8[${rows}, ${depth}]`,
      `%s = const f32[${groups}] {${numbers(count, 1).replaceAll("-", "")}}`,
    ],
    node: `bitnet.linear(x: %x, weight: %w, scale: %s) {"activations":"int8-per-token","group":${group}} : f32[1, S, ${rows}]`,
    weights: [
      computedWeight("codes", "i8", [rows, depth], async () =>
        tensor(
          "i8",
          [rows, depth],
          Array.from({ length: rows * depth }, (_, i) => ((i * 7 + (i >> 2)) % 3) - 1),
        ),
      ),
    ],
    ...(rows * depth > 2 ** 24 && { isLarge: true }),
  };
};

const linear = (why: string, lines: readonly string[], more = "", rows = 4): Case => ({
  why,
  lines: [input("x", "f32[1, S, 4]"), ...lines],
  node: `nn.linear(x: %x, weight: %w${more}) : f32[1, S, ${rows}]`,
});

const embedding = (why: string, lines: readonly string[], more = ""): Case => ({
  why,
  lines: [input("x", "i64[1, S]"), ...lines],
  node: `nn.embedding(table: %t, ids: %x${more}) : f32[1, S, 4]`,
  range: [0, 4],
});

const matmul = (why: string, a: string, b: string, result: string): Case => ({
  why,
  lines: [input("x", a), input("y", b)],
  node: `matmul(a: %x, b: %y) : ${result}`,
});

const angles = (rows: number, half: number): readonly string[] =>
  ["c", "s"].map((name, i) => `%${name} = const f32[${rows}, ${half}] {${numbers(rows * half, i)}}`);
const rope = (why: string, tables: readonly string[], x: string, more = "", isPairs = false): Case => ({
  why,
  lines: [start, input("x", x), ...tables],
  node: `nn.rope(x: %x, cos: %c, sin: %s${more}) {"interleaved":${isPairs}} : ${x}`,
  calls: [
    { S: 3, P: 0 },
    { S: 1, P: 2 },
  ],
});

interface Attention {
  readonly q?: string;
  readonly k?: string;
  readonly v?: string;
  readonly attrs?: string;
  readonly more?: string;
  readonly lines?: readonly string[];
  readonly result?: string;
  readonly isLarge?: boolean;
}
const attention = (
  why: string,
  {
    q = "f32[1, 4, S, 4]",
    k = "f32[1, 2, S, 4]",
    v = k,
    attrs = `"causal":true,"softcap":0,"window":0`,
    more = "",
    lines = [],
    result = q,
    isLarge = false,
  }: Attention,
): Case => ({
  why,
  lines: [start, input("q", q), input("k", k), input("v", v), ...lines],
  node: `nn.sdpa(q: %q, k: %k, v: %v${more}) {"scale":0.5,${attrs}} : ${result}`,
  calls: [
    { S: 3, P: 0 },
    { S: 8, P: 0 },
  ],
  isLarge,
});

const x = "f32[2, S, 6]";
const of = (why: string, node: string, ...lines: string[]): Case => ({
  why,
  lines: [input("x", x), ...lines],
  node,
});

/** What a delegate cannot compute, and kernels can. */
const cases: readonly Case[] = [
  of("no op of the GPU backends computes it", `erf(x: %x) : ${x}`),
  ternary("computes outputs by fours, and there are 6", 6, 8, 0),
  ternary("reads rows by eights, and they have 12 weights", 4, 12, 0),
  ternary("groups of 6 do not divide 24 so", 4, 24, 6),
  ternary("weight has 134742016 elements", 2 ** 20 + 2 ** 12, 1024, 0),
  linear("weight must be a constant", [input("w", "f32[4, 4]")]),
  linear(
    "bias must be a constant",
    [`%w = const f32[4, 4] {${numbers(16)}}`, input("b", "f32[4]")],
    ", bias: %b",
  ),
  linear(
    "no op of both GPU backends has int8 weights",
    [`%w = const i8[4, 4] {${codes(16)}}`, `%s = const f32[4] {1, 2, 3, 4}`],
    ", scale: %s",
  ),
  {
    why: "a row of weight has 134217732 elements",
    lines: [input("x", `f32[1, ${2 ** 25 + 1}]`), `%w = const @"w" : f32[4, ${2 ** 25 + 1}]`],
    node: "nn.linear(x: %x, weight: %w) : f32[1, 4]",
    weights: [unread("w", "f32", [4, 2 ** 25 + 1])],
    isLarge: true,
  },
  embedding("table must be a constant", [input("t", "f32[5, 4]")]),
  embedding(
    "no op of both GPU backends has int8 tables",
    [`%t = const i8[5, 4] {${codes(20)}}`, "%s = const f32[5] {1, 2, 3, 4, 5}"],
    ", scale: %s",
  ),
  {
    ...embedding("table has 134217732 elements", [`%t = const @"t" : f32[${2 ** 25 + 1}, 4]`]),
    weights: [unread("t", "f32", [2 ** 25 + 1, 4])],
    isLarge: true,
  },
  matmul("the same batch axes", "f32[3, S, 6]", "f32[1, 6, 4]", "f32[3, S, 4]"),
  matmul("the same batch axes", "f32[S, 2, 6]", "f32[S, 6, 4]", "f32[S, 2, 4]"),
  matmul("must be known, but for rows of a", "f32[2, 4, 6]", "f32[2, 6, S]", "f32[2, 4, S]"),
  matmul("must be known, but for rows of a", "f32[2, 4, S]", "f32[2, S, 6]", "f32[2, 4, 6]"),
  of("it must go over the last axis alone", `softmax(x: %x) {"axis":1} : ${x}`),
  of(
    "it must go over the last axis alone",
    `reduce_sum(x: %x) {"axes":[0,2],"keepdims":true} : f32[1, S, 1]`,
  ),
  of("it must go over the last axis alone", `reduce_max(x: %x) {"axes":[1],"keepdims":false} : f32[2, 6]`),
  of(
    "scale must be a constant",
    `nn.rms_norm(x: %x, scale: %w) {"eps":0.00001} : ${x}`,
    input("w", "f32[6]"),
  ),
  {
    ...of(
      "the exponent must be one number",
      `pow(a: %x, b: %y) : ${x}`,
      "%y = const f32[6] {1, 2, 3, 1, 2, 3}",
    ),
    range: [0.5, 2],
  },
  of("its approximation by tanh alone", `nn.gelu(x: %x) {"approximate":"none"} : ${x}`),
  of(
    "expand_copy takes sizes that are known",
    "expand(x: %y, shape: %d) : f32[2, S, 6]",
    input("y", "f32[2, 1, 6]"),
    "%d = dims [2, S, 6] : i64[3]",
  ),
  of(
    "a bound that is computed must not be negative",
    `slice(x: %x, starts: %a, ends: %e) {"axes":[1],"steps":[1]} : f32[2, S, 6]`,
    "%a = dims [-S] : i64[1]",
    "%e = dims [S] : i64[1]",
  ),
  rope("turns halves, not neighbours", angles(8, 4), "f32[1, 2, S, 8]", "", true),
  rope(
    "cos must be a constant",
    [input("c", "f32[8, 4]"), input("s", "f32[8, 4]")],
    "f32[1, 2, S, 8]",
    ", start_pos: %p",
  ),
  rope(
    "cos and sin must be tables of all positions",
    ["c", "s"].map((name, i) => `%${name} = const f32[1, 2, 4] {${numbers(8, i)}}`),
    "f32[1, 2, 2, 8]",
  ),
  rope("turns elements by eights, and 4 are to be turned", angles(8, 2), "f32[1, 2, S, 8]"),
  rope("takes one sequence", angles(8, 4), "f32[2, 2, S, 8]"),
  rope("its table has 4 rows, and there may be 8 tokens", angles(4, 4), "f32[1, 2, S, 8]"),
  attention("caches of its own, which nothing else uses", {
    k: "f32[1, 2, 16, 4]",
    more: ", start_pos: %p",
  }),
  attention("without a mask, a window or a cap", { attrs: `"causal":false,"softcap":0,"window":0` }),
  attention("without a mask, a window or a cap", { attrs: `"causal":true,"softcap":2,"window":0` }),
  attention("without a mask, a window or a cap", { attrs: `"causal":true,"softcap":0,"window":3` }),
  attention("without a mask, a window or a cap", { lines: [input("m", "f32[S, S]")], more: ", mask: %m" }),
  attention("takes one sequence", { q: "f32[2, 4, S, 4]", k: "f32[2, 2, S, 4]" }),
  attention("as many keys as queries", { k: "f32[1, 2, 9, 4]" }),
  attention("keys and values of one width", { v: "f32[1, 2, S, 8]", result: "f32[1, 4, S, 8]" }),
  attention("reads heads by fours, and they have 6 elements", { q: "f32[1, 4, S, 6]", k: "f32[1, 2, S, 6]" }),
  attention("the scores of 8 heads, 4096 tokens and 4096 positions are more than the 134217728 elements", {
    lines: ["symbol T 1..4096"],
    q: "f32[1, 8, 4096, 4]",
    k: "f32[1, 2, 4096, 4]",
    isLarge: true,
  }),
  {
    why: "it has 5 axes, and GPU tensors four at most",
    lines: [input("x", "f32[1, 2, 1, S, 2]")],
    node: "neg(x: %x) : f32[1, 2, 1, S, 2]",
  },
  {
    why: "GPU tensors have an axis at least",
    lines: [input("x", "f32[]")],
    node: "neg(x: %x) : f32[]",
  },
  {
    why: "tensors of i64 are not for the GPU backends",
    lines: [input("x", "i64[2, S]"), input("y", "i64[S]")],
    node: "add(a: %x, b: %y) : i64[2, S]",
  },
  {
    why: "tensors of i64 are not for the GPU backends",
    lines: ["%x = const i64[2] {1, 0}", "%t = const f32[2, 3] {1, 2, 3, 4, 5, 6}"],
    node: "nn.embedding(table: %t, ids: %x) : f32[2, 3]",
  },
  {
    why: "tensors of f16 are not for the GPU backends",
    lines: [input("x", "f16[2, S]")],
    node: "neg(x: %x) : f16[2, S]",
  },
  {
    why: "tensors of bool are not for the GPU backends",
    lines: [input("x", "bool[2, S]")],
    node: `concat(inputs: [%x, %x]) {"axis":0} : bool[4, S]`,
    range: [0, 1],
  },
  {
    why: "tensors without elements are not for the GPU backends",
    lines: ["symbol Z 0..4", input("x", "f32[2, Z]")],
    node: "neg(x: %x) : f32[2, Z]",
    calls: [
      { S: 1, Z: 3 },
      { S: 1, Z: 1 },
    ],
  },
  of(
    "no op computes the larger or smaller of two sizes",
    `slice(x: %x, starts: %a, ends: %e) {"axes":[1],"steps":[1]} : f32[2, min(3, S), 6]`,
    "%a = dims [0] : i64[1]",
    "%e = dims [3] : i64[1]",
  ),
  {
    why: "it may have 134250496 elements",
    lines: ["symbol T 1..32776", input("x", "f32[T, 4096]")],
    node: "neg(x: %x) : f32[T, 4096]",
    isLarge: true,
  },
];

const opOf = (node: string): string => /^[\w.]+/.exec(node)![0];
const graphOf = ({ lines, node, weights = [] }: Case) =>
  namedGraph(
    [...symbols, input("size", "f32[S]"), ...lines, `%r = ${node}`, `output "r" %r`, ...product],
    Object.fromEntries(weights.map((weight) => [weight.id, weight])),
  );

describe("a node that a delegate cannot compute runs outside, and right", () => {
  test.each(cases.map((each, i) => [`${opOf(each.node)}: ${each.why} (${i})`, each] as const))(
    "%s",
    async (_, each) => {
      const { report, diagnostics, codes } = place(graphOf(each));
      expect(report.refused).toEqual([
        { op: opOf(each.node), source: expect.any(String), why: expect.stringContaining(each.why) },
      ]);
      expect(report.groups).toEqual({ "delegate 0": 1, kernels: 1 });
      expect(codes).toEqual(["nodes-outside"]);
      expect(diagnostics[0]!.severity).toBe("warning");
      expect(diagnostics[0]!.message).toContain(`${opOf(each.node)}: `);
      expect(diagnostics[0]!.message).toContain(each.why);
      if (each.isLarge) return;
      const { error } = await compare(graphOf(each), each);
      expect(error).toBeLessThan(each.error ?? rounding);
    },
  );
});

/** What neither can compute. */
const impossible: readonly Case[] = [
  ternary("sums of 132112 products are not exact in f32", 4, 132_112, 0),
  {
    why: "no op of the GPU backends computes it",
    lines: ["symbol S 1..8", input("x", "f64[2, S]")],
    node: "mod(a: %x, b: %x) : f64[2, S]",
  },
  {
    why: "no input says what the size U is",
    lines: ["symbol U 1..8", input("x", "f32[2*U, 3]")],
    node: "neg(x: %x) : f32[2*U, 3]",
  },
];

test.each(impossible.map((each) => [opOf(each.node), each.why, each] as const))(
  "what kernels cannot compute either is an error: %s, %s",
  async (op, why, each) => {
    const { report, diagnostics, codes } = place(graphOf(each));
    expect(report.refused).toEqual([{ op, source: expect.any(String), why: expect.stringContaining(why) }]);
    expect(codes).toEqual(["not-portable"]);
    expect(diagnostics[0]).toMatchObject({ severity: "error", message: expect.stringContaining(`${op}: `) });
  },
);

test("all of it is listed, and nothing that kernels could run", () => {
  const { codes, diagnostics } = place(
    namedGraph([
      input("x", "f64[1, 6]"),
      "%a = mod(a: %x, b: %x) : f64[1, 6]",
      "%b = erf(x: %a) : f64[1, 6]",
      "%c = nn.relu2(x: %b) : f64[1, 6]",
      "%d = mod(a: %c, b: %x) : f64[1, 6]",
      `output "y" %d`,
    ]),
  );
  expect(codes).toEqual(["not-portable"]);
  expect(diagnostics[0]!.message).toContain("cannot compute 3 nodes");
  expect(diagnostics[0]!.message).toMatch(/mod: .*\n.*nn\.relu2: /);
  expect(diagnostics[0]!.message).not.toContain("erf");
});

test("every axis of an input that has no largest size is an error", () => {
  const { diagnostics } = place(
    namedGraph([
      "symbol A 1..2147483647",
      "symbol B 0..2147483647",
      "symbol S 1..8",
      input("x", "f32[A, S]"),
      input("y", "f32[2, B]"),
      `output "x" %x`,
      `output "y" %y`,
    ]),
  );
  expect(diagnostics).toEqual(
    [
      ["x", 0, "A"],
      ["y", 1, "B"],
    ].map(([name, axis, size]) =>
      expect.objectContaining({
        code: "unbounded-size",
        severity: "error",
        message: expect.stringContaining(`Axis ${axis} of the input ${name}, ${size},`),
      }),
    ),
  );
});

/** Chains of nodes for a delegate (`D`) and for kernels (`K`), each of which uses the one before it. */
function chains(...kinds: readonly string[]): readonly string[] {
  return [
    "symbol S 1..8",
    "%w = const f32[4, 4] {1, 0, 0, 1, 0, 1, -1, 0, 0.5, 0, 1, 0, 0, 0, 1, -1}",
    ...kinds.flatMap((chain, c) => [
      input(`i${c}`, "f32[1, S, 4]"),
      ...[...chain].map((kind, i) => {
        const from = i === 0 ? `%i${c}` : `%v${c}x${i - 1}`;
        const node = {
          D: `nn.linear(x: ${from}, weight: %w)`,
          d: `neg(x: ${from})`,
          K: `erf(x: ${from})`,
        }[kind];
        return `%v${c}x${i} = ${node} : f32[1, S, 4]`;
      }),
      `output "${c}" %v${c}x${chain.length - 1}`,
    ]),
  ];
}

/** The kinds of a method's instructions, one letter for neighbours of a kind. */
const instructionsOf = ({ description }: Awaited<ReturnType<typeof compare>>): string => {
  const forward = description.methods.find(({ name }) => name === "forward")!;
  return forward.chains[0]!.instructions.map(({ type }) => (type === "DelegateCall" ? "D" : "K"))
    .join("")
    .replace(/K+/g, "K");
};

describe("stretches are as few as there can be", () => {
  test.each([
    [["D"], "D", {}],
    [["K"], "K", {}],
    [["DK"], "DK", {}],
    [["KD"], "KD", {}],
    [["DKDK"], "DKDK", {}],
    [["DKD", "KDK", "D", "K"], "DKDK", {}],
    // Kernels first would take one more, and delegates first.
    [["DKD", "K"], "DKD", {}],
    [["KDK", "D"], "KDK", {}],
    [["KDKD", "DK"], "KDKD", {}],
    // What would multiply nothing is left to kernels, with those around it.
    [["d"], "K", { d: 1 }],
    [["KdK"], "K", { d: 1 }],
    [["DKdKdKD"], "DKD", { d: 2 }],
    [["DKdK", "KKDd"], "DKDK", {}],
    [["KdKD"], "KD", { d: 1 }],
    [["dKDd"], "KD", { d: 1 }],
  ] as const)("%j: %s", async (kinds, expected, { d: left = 0 }: { d?: number }) => {
    const compared = await compare(namedGraph(chains(...kinds)));
    expect(compared.error).toBeLessThan(rounding);
    expect(instructionsOf(compared)).toBe(expected);
    const counts = kinds.join("");
    const outside = [...counts].filter((kind) => kind === "K").length + left;
    const { groups, refused } = compared.report;
    expect(groups.kernels ?? 0).toBe(outside);
    expect(Object.values(groups).reduce((sum, each) => sum + each, 0)).toBe(counts.length);
    expect(refused.length).toBe(outside);
    expect(refused.filter(({ op, why }) => op === "neg" && why.startsWith("what is around it")).length).toBe(
      left,
    );
    expect(compared.diagnostics.map(({ code }) => code)).toEqual(outside > 0 ? ["nodes-outside"] : []);
  });

  test("the writing of caches waits for what its attention needs", async () => {
    // In this order both updates come before the queries, which are a node's that is for kernels.
    const lines = [
      ...symbols,
      start,
      input("x", "f32[1, 2, S, 4]"),
      input("z", "f32[1, 4]"),
      `%kc = state "kv.0.key" : f32[1, 2, 16, 4]`,
      `%vc = state "kv.0.value" : f32[1, 2, 16, 4]`,
      "%w = const f32[4, 4] {1, 0, 0, 1, 0, 1, -1, 0, 0.5, 0, 1, 0, 0, 0, 1, -1}",
      "%k = nn.linear(x: %x, weight: %w) : f32[1, 2, S, 4]",
      "%ku = kv.update(cache: %kc, new: %k, start_pos: %p) : f32[1, 2, 16, 4]",
      "%e = erf(x: %z) : f32[1, 4]",
      "%v = neg(x: %k) : f32[1, 2, S, 4]",
      "%vu = kv.update(cache: %vc, new: %v, start_pos: %p) : f32[1, 2, 16, 4]",
      "%q = abs(x: %k) : f32[1, 2, S, 4]",
      `%a = nn.sdpa(q: %q, k: %ku, v: %vu, start_pos: %p) {"causal":true,"scale":0.5,"softcap":0,"window":0} : f32[1, 2, S, 4]`,
      "%f = erf(x: %a) : f32[1, 2, S, 4]",
      `output "y" %f`,
      `output "e" %e`,
    ];
    const compared = await compare(namedGraph(lines), { calls: conversation });
    expect(compared.error).toBeLessThan(rounding);
    expect(instructionsOf(compared)).toBe("DK");
  });
});

const conversation: readonly Sizes[] = [
  { S: 5, P: 0 },
  { S: 1, P: 5 },
  { S: 2, P: 6 },
  { S: 8, P: 8 },
  { S: 3, P: 0 },
];

/** Attention between products, over caches of 16 positions. */
const decoder = (attrs: string, between: string, more = "", width = 4): readonly string[] => {
  const heads = `f32[1, 2, S, ${width}]`;
  return [
    ...symbols,
    start,
    input("x", `f32[1, 2, S, 4]`),
    `%kc = state "kv.0.key" : f32[1, 2, 16, ${width}]`,
    `%vc = state "kv.0.value" : f32[1, 2, 16, ${width}]`,
    `%w = const f32[${width}, 4] {${numbers(4 * width)}}`,
    `%o = const f32[4, ${width}] {${numbers(4 * width, 5)}}`,
    `%q = nn.linear(x: %x, weight: %w) : ${heads}`,
    `%k = ${between}(x: %q) : ${heads}`,
    `%v = neg(x: %q) : ${heads}`,
    `%ku = kv.update(cache: %kc, new: %k, start_pos: %p) : f32[1, 2, 16, ${width}]`,
    `%vu = kv.update(cache: %vc, new: %v, start_pos: %p) : f32[1, 2, 16, ${width}]`,
    `%a = nn.sdpa(q: %q, k: %ku, v: %vu, start_pos: %p) {"scale":0.5,${attrs}} : ${heads}`,
    "%y = nn.linear(x: %a, weight: %o) : f32[1, 2, S, 4]",
    `output "y" %y`,
    ...(more === "" ? [] : [more]),
  ];
};
const plain = `"causal":true,"softcap":0,"window":0`;

describe("caches", () => {
  const outside: readonly (readonly [string, readonly string[], string])[] = [
    ["a window", decoder(plain.replace(`window":0`, `window":3`), "abs"), "which nothing else uses"],
    ["capped scores", decoder(plain.replace(`softcap":0`, `softcap":2`), "abs"), "which nothing else uses"],
    ["a cache that is an output", decoder(plain, "abs", `output "k" %ku`), "which nothing else uses"],
    ["heads of 6", decoder(plain, "abs", "", 6), "reads heads by fours, and they have 6 elements"],
  ];
  test.each(outside)("%s: attention is outside, and they are the method's", async (_, lines, why) => {
    const compared = await compare(namedGraph(lines), { calls: conversation });
    expect(compared.error).toBeLessThan(rounding);
    // A cache that is an output is copied last.
    expect(instructionsOf(compared)).toMatch(/^DKDK?$/);
    const ops = compared.report.refused.map(({ op }) => op).sort();
    expect(ops).toEqual(["kv.update", "kv.update", "nn.sdpa"]);
    expect(compared.report.refused.find(({ op }) => op === "nn.sdpa")!.why).toContain(why);
    const forward = compared.description.methods.find(({ name }) => name === "forward")!;
    const named = forward.values.flatMap((value) =>
      value.type === "Tensor" ? (value.extra?.name ?? []) : [],
    );
    expect(named).toEqual(expect.arrayContaining(["kv.0.key", "kv.0.value"]));
    expect(compared.graphs.flatMap(({ calls }) => calls.map(({ op }) => op))).not.toContain(
      "sdpa_with_kv_cache.default",
    );
  });

  test("are a delegate's where what is before and after attention is outside", async () => {
    const compared = await compare(
      namedGraph(decoder(plain, "erf").with(-1, "%z = erf(x: %y) : f32[1, 2, S, 4]").concat(`output "z" %z`)),
      {
        calls: conversation,
      },
    );
    expect(compared.error).toBeLessThan(rounding);
    expect(instructionsOf(compared)).toBe("DKDK");
    expect(compared.report.refused.map(({ op }) => op)).toEqual(["erf", "erf"]);
    const forward = compared.description.methods.find(({ name }) => name === "forward")!;
    const tensors = forward.values.flatMap((value) => (value.type === "Tensor" ? [value] : []));
    expect(tensors.map(({ extra }) => extra?.name)).not.toContain("kv.0.key");
    expect(compared.graphs[1]!.calls.map(({ op }) => op)).toContain("sdpa_with_kv_cache.default");
    // Memory for what goes from one to the other is planned for the longest call.
    const crossing = tensors.filter(
      ({ sizes, extra }) => sizes.join() === "1,2,8,4" && extra?.name === undefined,
    );
    expect(crossing.length).toBeGreaterThan(0);
    expect(crossing.every(({ dynamism }) => dynamism === "DYNAMIC_BOUND")).toBe(true);
  });
});
