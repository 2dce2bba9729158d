import { describe, expect, test } from "vitest";
import { lowerings } from "../../src/backends/vulkan/lowerings/index.ts";
import { codes, compare, namedGraph, numbers, product, type Sizes } from "./vulkan-run.ts";

interface Case {
  readonly name?: string;
  /** Lines before the node: inputs, constants, states. */
  readonly before: readonly string[];
  /** The op with its arguments and attributes, and its type. */
  readonly node: string;
  readonly results?: number;
  readonly range?: readonly [number, number];
  readonly calls?: readonly Sizes[];
  /** The largest difference by 1 + the magnitude; 0: the same numbers. */
  readonly error?: number;
  /** Ops of the delegate, in order, without what is there for the product beside it. */
  readonly ops?: string;
}

/** What rounds elsewhere in f32 and f64. */
const rounding = 2e-6;
const input = (name: string, type: string): string => `%${name} = input "${name}" : ${type}`;
const x = "f32[2, S, 6]";

const unary = (op: string, range?: Case["range"], error?: number): Case => ({
  before: [input("x", x)],
  node: `${op}(x: %x) : ${x}`,
  ...(range && { range }),
  ...(error !== undefined && { error }),
});

/** Two tensors, a tensor and a constant, and a constant and a tensor; the other one is smaller in several ways. */
const binary = (op: string, range: Case["range"] = [-3, 3]): readonly Case[] => {
  const node = (a: string, b: string) => `${op}(a: %${a}, b: %${b}) : ${x}`;
  const common = { range, error: op === "div" ? rounding : 0 };
  return [
    { ...common, before: [input("x", x), input("y", x)], node: node("x", "y") },
    { ...common, before: [input("x", x), input("y", "f32[S, 1]")], node: node("x", "y") },
    { ...common, before: [input("x", "f32[6]"), input("y", x)], node: node("x", "y") },
    { ...common, before: [input("x", x), "%y = const f32[6] {1, 2, -3, 0.5, 7, 1}"], node: node("x", "y") },
    { ...common, before: [input("x", x), "%y = const f32[] {0.75}"], node: node("y", "x") },
    { ...common, before: [input("x", x), "%y = const f32[2, 1, 1] {3, -5}"], node: node("y", "x") },
  ].map((each, i) => ({
    ...each,
    name: ["", "[S, 1]", "[6] first", "constant", "number first", "[2, 1, 1] first"][i]!,
  }));
};

const reductions = ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min"].flatMap(
  (op): readonly Case[] => {
    const error = op === "reduce_max" || op === "reduce_min" ? 0 : rounding;
    return [
      {
        name: "kept axis",
        before: [input("x", x)],
        node: `${op}(x: %x) {"axes":[-1],"keepdims":true} : f32[2, S, 1]`,
        error,
      },
      { before: [input("x", x)], node: `${op}(x: %x) {"axes":[2],"keepdims":false} : f32[2, S]`, error },
    ];
  },
);

interface Ternary {
  readonly scale: string;
  readonly group?: number;
  readonly activations?: "int8-per-token" | "float";
  readonly bias?: string;
  readonly x?: string;
  readonly depth?: number;
  readonly rows?: number;
  /** Without groups, every step is the reference's. */
  readonly error?: number;
}
const ternary = ({
  scale,
  group = 0,
  activations = "int8-per-token",
  bias,
  depth = 16,
  rows = 8,
  x = `f32[1, S, ${depth}]`,
  error = 0,
}: Ternary): Case => ({
  name: `${scale.split(" ")[0]} group ${group} ${activations}${bias === undefined ? "" : `, bias ${bias.split(" ")[0]}`}, ${x}`,
  before: [
    input("x", x),
    `%w = const i8[${rows}, ${depth}] {${codes(rows * depth)}}`,
    `%s = const ${scale}`,
    ...(bias === undefined ? [] : [bias.startsWith("input") ? `%b = ${bias}` : `%b = const ${bias}`]),
  ],
  node: `bitnet.linear(x: %x, weight: %w, scale: %s${bias === undefined ? "" : ", bias: %b"}) {"activations":"${activations}","group":${group}} : ${x.replace(/\d+\]$/, `${rows}]`)}`,
  error,
});
const eight = `f32[8] {${numbers(8, 3).replaceAll("-", "")}}`;
const fourGroups = `f32[8, 4] {${numbers(32, 1).replaceAll("-", "")}}`;
const ternaries = [
  ternary({ scale: "f32[1] {0.3}" }),
  ternary({ scale: eight }),
  ternary({ scale: eight, bias: `f32[8] {${numbers(8)}}`, error: rounding }),
  ternary({ scale: "f32[1] {0.3}", bias: `input "b" : f32[8]`, error: rounding }),
  ternary({ scale: "f32[1] {0.3}", x: "f32[S, 16]" }),
  ternary({ scale: "f32[1] {0.3}", x: "f32[2, S, 16]" }),
  ternary({ scale: eight, x: "f32[16]" }),
  ternary({ scale: fourGroups, group: 4, error: rounding }),
  ternary({ scale: fourGroups, group: 4, activations: "float", error: rounding }),
  ternary({ scale: "f32[1] {0.3}", activations: "float", error: rounding }),
  ternary({ scale: eight, activations: "float", bias: `f32[8] {${numbers(8)}}`, error: rounding }),
  // Sums that are beyond what 16 bits hold.
  ternary({ scale: "f32[1] {0.3}", depth: 4096, rows: 4 }),
];

const dense = (name: string, dtype: string, bias: string | undefined, x: string): Case => ({
  name,
  before: [
    input("x", x),
    `%w = const ${dtype}[5, 6] {${numbers(30)}}`,
    ...(bias === undefined ? [] : [`%b = const ${bias}`]),
  ],
  node: `nn.linear(x: %x, weight: %w${bias === undefined ? "" : ", bias: %b"}) : ${x.replace("6]", "5]")}`,
  error: rounding,
});

/** A table of angles: `rows` positions, `half` pairs. */
const table = (of: "cos" | "sin", rows: number, half: number, from = 0): string => {
  const angles = Array.from({ length: rows * half }, (_, i) =>
    Math.fround(Math[of]((from + Math.floor(i / half)) / 10 ** (i % half))),
  );
  return `const f32[${rows}, ${half}] {${angles.join(", ")}}`;
};
const position = `%p = input "start_pos" = [P] : i64[1]`;
const rope = (name: string, half: number, width: number, withStart: boolean): Case => ({
  name,
  before: [
    ...(withStart ? [position] : []),
    input("x", `f32[1, 3, S, ${width}]`),
    `%c = ${table("cos", 16, half)}`,
    `%s = ${table("sin", 16, half)}`,
  ],
  node: `nn.rope(x: %x, cos: %c, sin: %s${withStart ? ", start_pos: %p" : ""}) {"interleaved":false} : f32[1, 3, S, ${width}]`,
  calls: [
    { S: 3, P: 0 },
    { S: 8, P: 8 },
    { S: 1, P: 5 },
  ],
  error: rounding,
});

const attention = (name: string, heads: number, keyHeads: number, width: number, scale: number): Case => ({
  name,
  before: [
    input("q", `f32[1, ${heads}, S, ${width}]`),
    ...["k", "v"].map((each) => input(each, `f32[1, ${keyHeads}, S, ${width}]`)),
  ],
  node: `nn.sdpa(q: %q, k: %k, v: %v) {"causal":true,"scale":${scale},"softcap":0,"window":0} : f32[1, ${heads}, S, ${width}]`,
  error: rounding,
});

const shaped = (
  op: string,
  of: string,
  attrs: string,
  from: string,
  to: string,
  more: string[] = [],
): Case => ({
  name: `${from} to ${to}${attrs}`,
  before: [input("x", from), ...more],
  node: `${op}(x: %x${of}) ${attrs}: ${to}`,
  error: 0,
});
const reshape = (from: string, to: string): Case =>
  shaped("reshape", ", shape: %d", "", from, to, [`%d = dims ${to.slice(3)} : i64[${to.split(",").length}]`]);
const expand = (from: string, to: string): Case =>
  shaped("expand", ", shape: %d", "", from, to, [`%d = dims ${to.slice(3)} : i64[${to.split(",").length}]`]);
const transpose = (perm: string, from: string, to: string): Case =>
  shaped("transpose", "", `{"perm":${perm}} `, from, to);
const slice = (
  starts: string,
  ends: string,
  axes: string,
  steps: string,
  from: string,
  to: string,
  kind = "dims",
): Case => {
  const list = (items: string) =>
    `${kind === "dims" ? `dims [${items}]` : "const"} ${kind === "dims" ? ": " : ""}i64[${items.split(",").length}]${kind === "dims" ? "" : ` {${items}}`}`;
  return {
    ...shaped("slice", ", starts: %a, ends: %e", `{"axes":${axes},"steps":${steps}} `, from, to, [
      `%a = ${list(starts)}`,
      `%e = ${list(ends)}`,
    ]),
    name: `${from}[${starts} to ${ends} of ${axes} by ${steps}] (${kind})`,
  };
};
const far = "9223372036854775807";

const cases: readonly Case[] = [
  ...["abs", "ceil", "floor", "neg", "relu", "round", "nn.relu2"].map((op) => unary(op, [-3, 3], 0)),
  ...["cos", "exp", "sigmoid", "sin", "tanh", "nn.silu"].map((op) => unary(op)),
  ...["rsqrt", "sqrt", "reciprocal"].map((op) => unary(op, [0.1, 4])),
  { ...unary("nn.gelu"), node: `nn.gelu(x: %x) {"approximate":"tanh"} : ${x}` },
  ...["add", "sub", "mul", "minimum", "maximum"].flatMap((op) => binary(op)),
  ...binary("div", [0.5, 3]),
  ...[
    ["f32[] {2}", "squares, as a product", 0],
    ["f32[1] {3}", "a cube", rounding],
    ["f16[] {0.5}", "a root", rounding],
    ["f32[1, 1] {-1.5}", "a power below zero", rounding],
  ].map(
    ([type, name, error]): Case => ({
      name: name as string,
      before: [input("x", x), `%y = const ${type}`],
      node: `pow(a: %x, b: %y) : ${x}`,
      range: [0.25, 3],
      error: error as number,
    }),
  ),
  {
    name: "an exponent with more axes",
    before: [input("x", "f32[S]"), "%y = const f32[1, 1] {2}"],
    node: "pow(a: %x, b: %y) : f32[1, S]",
    error: 0,
  },
  ...reductions,
  { before: [input("x", x)], node: `softmax(x: %x) {"axis":-1} : ${x}` },
  { name: "axis 2", before: [input("x", x)], node: `softmax(x: %x) {"axis":2} : ${x}` },
  ...["f32", "bf16"].map((dtype) => ({
    name: dtype,
    before: [input("x", x), `%w = const ${dtype}[6] {1, 2, -3, 0.5, 0, 1}`],
    node: `nn.rms_norm(x: %x, scale: %w) {"eps":0.00001} : ${x}`,
  })),
  {
    before: [input("x", x), `%w = const f32[6] {${numbers(6)}}`],
    node: `nn.layer_norm(x: %x, scale: %w) {"eps":0.00001} : ${x}`,
    error: rounding,
  },
  {
    name: "bias, nothing constant",
    before: [input("x", x), input("w", "f32[6]"), input("b", "f32[6]")],
    node: `nn.layer_norm(x: %x, scale: %w, bias: %b) {"eps":0.00001} : ${x}`,
    error: rounding,
  },
  { before: [input("x", x)], node: `bitnet.quantize(x: %x) : ${x}, f32[2, S, 1]`, results: 2, error: 0 },
  ...ternaries,
  dense("f32", "f32", undefined, "f32[1, S, 6]"),
  dense("f32, bias", "f32", `f32[5] {${numbers(5)}}`, "f32[1, S, 6]"),
  dense("f16, several rows of tokens", "f16", `f16[5] {${numbers(5)}}`, "f32[2, S, 6]"),
  dense("a vector", "bf16", undefined, "f32[6]"),
  ...["i64[1, S]", "i64[S]", "i64[2, S]", "i64[3]"].map((ids) => ({
    name: ids,
    before: [input("x", ids), `%t = const f16[7, 3] {${numbers(21)}}`],
    node: `nn.embedding(table: %t, ids: %x) : f32${ids.slice(3, -1)}, 3]`,
    range: [0, 6] as const,
    error: 0,
  })),
  ...[
    ["f32[S, 3]", "f32[3, 4]", "f32[S, 4]"],
    ["f32[2, S, 3]", "f32[2, 3, 4]", "f32[2, S, 4]"],
    ["f32[2, 2, S, 3]", "f32[2, 2, 3, 4]", "f32[2, 2, S, 4]"],
  ].map(([a, b, result]) => ({
    name: `${a} and ${b}`,
    before: [input("x", a!), input("y", b!)],
    node: `matmul(a: %x, b: %y) : ${result}`,
    error: rounding,
  })),
  {
    name: "a constant",
    before: [input("x", "f32[1, S, 3]"), `%y = const f32[1, 3, 4] {${numbers(12)}}`],
    node: "matmul(a: %x, b: %y) : f32[1, S, 4]",
    error: rounding,
  },
  rope("whole heads", 4, 8, true),
  rope("part of the heads", 4, 12, true),
  rope("from position 0", 8, 16, false),
  attention("as many heads", 2, 2, 4, 0.5),
  attention("shared keys, a scale of its own", 6, 2, 8, 0.9),
  attention("one key head, heads that are as many as tokens can be", 8, 1, 4, 0.5),
  reshape(x, "f32[S, 12]"),
  reshape(x, "f32[12*S]"),
  reshape("f32[S, 6]", "f32[1, S, 2, 3]"),
  reshape("f32[S, S, 2]", "f32[2*S, S]"),
  reshape("f32[2, 6]", "f32[3, 4]"),
  reshape("f32[S + 1, 6]", "f32[2, 3*S + 3]"),
  expand("f32[2, 1, 6]", "f32[2, 4, 6]"),
  expand("f32[S, 6]", "f32[S, 6]"),
  expand("f32[1, 6]", "f32[3, 2, 6]"),
  expand("f32[2, 6]", "f32[2, 6]"),
  transpose("[1,2,0]", x, "f32[S, 6, 2]"),
  transpose("[0,2,1,3]", "f32[1, S, 2, 3]", "f32[1, 2, S, 3]"),
  transpose("[3,1,0,2]", "f32[1, S, 2, 3]", "f32[3, S, 1, 2]"),
  slice("-1", far, "[1]", "[1]", x, "f32[2, 1, 6]"),
  slice("-1", far, "[1]", "[1]", x, "f32[2, 1, 6]", "const"),
  slice("S - 1", "S", "[1]", "[1]", x, "f32[2, 1, 6]"),
  slice("0", "1", "[1]", "[1]", x, "f32[2, 1, 6]"),
  slice("1", "5", "[-1]", "[2]", x, "f32[2, S, 2]"),
  slice("1, -4", "2, -1", "[0, 2]", "[1, 2]", x, "f32[1, S, 2]"),
  slice("-100", "100", "[2]", "[1]", x, x),
  slice("0", "floordiv(S, 2) + 1", "[1]", "[1]", "f32[2, S + 8, 6]", "f32[2, floordiv(S, 2) + 1, 6]"),
  slice("0", "mod(S, 3) + 1", "[1]", "[1]", "f32[2, S + 3, 6]", "f32[2, mod(S, 3) + 1, 6]"),
  slice("1", "S + 9", "[1]", "[1]", "f32[2, S + 3, 6]", "f32[2, S + 2, 6]"),
  slice("2", "S + 2", "[1]", "[1]", "f32[2, S + 3, 6]", x),
  slice("1", far, "[1]", "[1]", "f32[2, S + 3, 6]", "f32[2, S + 2, 6]"),
  {
    before: [input("x", x), input("y", "f32[2, 3, 6]"), `%z = const f32[2, 1, 6] {${numbers(12)}}`],
    node: `concat(inputs: [%x, %y, %x, %z]) {"axis":1} : f32[2, 2*S + 4, 6]`,
    error: 0,
  },
  {
    name: "from the end",
    before: [input("x", x)],
    node: `concat(inputs: [%x, %x]) {"axis":-1} : f32[2, S, 12]`,
    error: 0,
  },
];

const opOf = ({ node }: Case): string => /^[\w.]+/.exec(node)![0];

function linesOf({ before, node, results = 1 }: Case): readonly string[] {
  const names = Array.from({ length: results }, (_, i) => `%r${i}`);
  return [
    "symbol S 1..8",
    "symbol P 0..8",
    ...before,
    // It says what S is where no other input does.
    `%size = input "size" : f32[S]`,
    `${names.join(", ")} = ${node}`,
    ...names.map((name, i) => `output "${i}" ${name}`),
    ...product,
  ];
}

describe("a delegate computes what the kernel of an op does", () => {
  const titled = cases.map(
    (each, i) => [`${opOf(each)}${each.name ? `: ${each.name}` : ""} (${i})`, each] as const,
  );
  test.each(titled)("%s", async (_, each) => {
    const compared = await compare(namedGraph(linesOf(each)), each);
    expect(compared.report).toEqual({ groups: { "delegate 0": 2 }, refused: [] });
    expect(compared.diagnostics).toEqual([]);
    expect(compared.error).toBeLessThanOrEqual(each.error ?? 1e-6);
  });

  test("every lowering is among them", () => {
    const tested = new Set(cases.map(opOf));
    expect([...lowerings.keys()].filter((op) => !tested.has(op))).toEqual([]);
  });
});
