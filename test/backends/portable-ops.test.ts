import { describe, expect, test } from "vitest";
import { decompositions } from "../../src/backends/portable/decompositions/index.ts";
import { portableRefusals } from "../../src/backends/portable/lower.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { elementCount, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { graphOf, type Inputs, runPortable, runReference } from "./portable-run.ts";

interface Case {
  readonly name?: string;
  /** The type of each input, `x`, `y` and `z`. */
  readonly inputs: readonly string[];
  /** Lines before the node, such as constants and states. */
  readonly before?: readonly string[];
  /** The op with its arguments and attributes, and its type. */
  readonly node: string;
  /** Of the inputs' elements. */
  readonly range?: readonly [number, number];
  readonly results?: number;
}

const x = "f32[2, S, 6]";
const unary = (ops: string, range?: Case["range"]): readonly Case[] =>
  ops.split(" ").map((op) => ({ inputs: [x], node: `${op}(x: %x) : ${x}`, ...(range && { range }) }));
const binary = (ops: string, result: string, range?: Case["range"], of = "f32"): readonly Case[] =>
  ops.split(" ").map((op) => ({
    inputs: [`${of}[2, S, 6]`, `${of}[S, 1]`],
    node: `${op}(a: %x, b: %y) : ${result}[2, S, 6]`,
    ...(range && { range }),
  }));
const reduce = (ops: string): readonly Case[] =>
  ops.split(" ").flatMap((op) => [
    { inputs: [x], node: `${op}(x: %x) {"axes":[-1],"keepdims":true} : f32[2, S, 1]` },
    { inputs: [x], node: `${op}(x: %x) {"axes":[0,2],"keepdims":false} : f32[S]` },
    { inputs: [x], node: `${op}(x: %x) {"axes":[],"keepdims":false} : ${x}` },
  ]);

const codes = (rows: number, columns: number): string =>
  Array.from({ length: rows * columns }, (_, i) => ((i * 7 + (i >> 2)) % 3) - 1).join(", ");
const numbers = (count: number): string =>
  Array.from({ length: count }, (_, i) => (((i * 37) % 19) - 9) / 8).join(", ");
const ternary = (scale: string, group: number, activations: string, bias = ""): Case => ({
  name: `${scale} group ${group} ${activations}${bias && ", bias"}`,
  inputs: [x],
  before: [
    `%w = const i8[2, 6] {${codes(2, 6)}}`,
    `%s = const ${scale}`,
    ...(bias === "" ? [] : [`%b = const ${bias}`]),
  ],
  node: `bitnet.linear(x: %x, weight: %w, scale: %s${bias && ", bias: %b"}) {"activations":"${activations}","group":${group}} : f32[2, S, 2]`,
});
const attention = (name: string, attrs: string, mask?: string, keys = "S"): Case => ({
  name,
  inputs: ["f32[1, 4, S, 2]", `f32[1, 2, ${keys}, 2]`, `f32[1, 2, ${keys}, 3]`, ...(mask ? [mask] : [])],
  node: `nn.sdpa(q: %x, k: %y, v: %z${mask ? ", mask: %m" : ""}) {"scale":0.7,${attrs}} : f32[1, 4, S, 3]`,
});
const table = (dtype: string): string => `%t = const ${dtype}[5, 3] {${numbers(15)}}`;

const cases: readonly Case[] = [
  ...unary(
    "abs asinh atan ceil cos erf exp floor is_nan neg relu round sigmoid sign sin sinh tan tanh cosh",
  ).map((each) =>
    each.node.startsWith("is_nan") ? { ...each, node: "is_nan(x: %x) : bool[2, S, 6]" } : each,
  ),
  ...unary("acos asin atanh", [-0.9, 0.9]),
  ...unary("log sqrt rsqrt reciprocal", [0.1, 4]),
  ...unary("acosh", [1, 4]),
  { inputs: ["bool[2, S, 6]"], node: "not(x: %x) : bool[2, S, 6]" },
  ...binary("add sub mul maximum minimum", "f32"),
  ...binary("add sub mul", "i64", [-9, 9], "i64"),
  ...binary("div pow", "f32", [0.5, 3]),
  ...binary("and or xor", "bool", undefined, "bool"),
  ...binary("equal less less_equal greater greater_equal", "bool", [-2, 2], "i64"),
  {
    inputs: ["bool[S, 1]", "f32[6]", x],
    node: `where(condition: %x, a: %y, b: %z) : ${x}`,
  },
  { inputs: [x], node: `cast(x: %x) {"to":"i64"} : i64[2, S, 6]`, range: [-9, 9] },
  ...reduce("reduce_sum reduce_mean reduce_max reduce_min"),
  { inputs: [x], before: ["%d = dims [S, 12] : i64[2]"], node: "reshape(x: %x, shape: %d) : f32[S, 12]" },
  {
    name: "with two sizes that are not known",
    inputs: ["f32[S, S, 2]"],
    before: ["%d = dims [2*S, S] : i64[2]"],
    node: "reshape(x: %x, shape: %d) : f32[2*S, S]",
  },
  {
    inputs: ["f32[2, 1, 6]"],
    before: ["%d = dims [3, 2, S, 6] : i64[4]"],
    node: "expand(x: %x, shape: %d) : f32[3, 2, S, 6]",
  },
  { inputs: [x], node: `transpose(x: %x) {"perm":[1,2,0]} : f32[S, 6, 2]` },
  { inputs: [x, "f32[2, 3, 6]"], node: `concat(inputs: [%x, %y]) {"axis":1} : f32[2, S + 3, 6]` },
  {
    inputs: [x],
    before: ["%a = const i64[2] {-1, 1}", "%e = const i64[2] {9223372036854775807, 6}"],
    node: `slice(x: %x, starts: %a, ends: %e) {"axes":[1,2],"steps":[1,2]} : f32[2, 1, 3]`,
  },
  {
    inputs: [x, "i64[S, 2]"],
    node: `gather(x: %x, indices: %y) {"axis":2} : f32[2, S, S, 2]`,
    range: [0, 5],
  },
  { inputs: ["f32[2, S, 3]", "f32[3, 4]"], node: "matmul(a: %x, b: %y) : f32[2, S, 4]" },
  { inputs: [x], node: `softmax(x: %x) {"axis":1} : ${x}` },
  { inputs: [x, "f32[6]"], node: `nn.rms_norm(x: %x, scale: %y) {"eps":0.00001} : ${x}` },
  {
    inputs: [x, "f32[6]", "f32[6]"],
    node: `nn.layer_norm(x: %x, scale: %y, bias: %z) {"eps":0.00001} : ${x}`,
  },
  { inputs: [x], node: `nn.relu2(x: %x) : ${x}` },
  { inputs: [x], node: `nn.silu(x: %x) : ${x}` },
  { inputs: [x], node: `nn.gelu(x: %x) {"approximate":"none"} : ${x}` },
  { inputs: [x], node: `nn.gelu(x: %x) {"approximate":"tanh"} : ${x}` },
  { inputs: [x], node: `bitnet.quantize(x: %x) : ${x}, f32[2, S, 1]`, results: 2 },
  ternary("f32[1] {0.3}", 0, "int8-per-token"),
  ternary("f32[2] {0.3, 0.7}", 0, "int8-per-token", "f32[2] {1, -1}"),
  ternary("f32[2] {0.3, 0.7}", 0, "float"),
  ternary("f32[2, 3] {0.3, 0.7, 1, 2, 0.1, 0.25}", 2, "int8-per-token", "f32[2] {1, -1}"),
  ternary("f32[2, 3] {0.3, 0.7, 1, 2, 0.1, 0.25}", 2, "float"),
  ...["f32", "f16"].map((dtype) => ({
    name: dtype,
    inputs: ["f32[1, S, 3]", "f32[5]"],
    before: [table(dtype)],
    node: "nn.linear(x: %x, weight: %t, bias: %y) : f32[1, S, 5]",
  })),
  {
    name: "q8",
    inputs: ["f32[1, S, 3]", "f32[5]"],
    before: [`%t = const i8[5, 3] {${codes(5, 3)}}`],
    node: "nn.linear(x: %x, weight: %t, scale: %y) : f32[1, S, 5]",
  },
  ...["f32", "f16"].map((dtype) => ({
    name: dtype,
    inputs: ["i64[1, S]"],
    before: [table(dtype)],
    node: "nn.embedding(table: %t, ids: %x) : f32[1, S, 3]",
    range: [0, 4] as const,
  })),
  {
    name: "q8",
    inputs: ["i64[1, S]"],
    before: [`%t = const i8[5, 3] {${codes(5, 3)}}`, `%s = const f32[5] {${numbers(5)}}`],
    node: "nn.embedding(table: %t, ids: %x, scale: %s) : f32[1, S, 3]",
    range: [0, 4],
  },
  ...[false, true].map((interleaved) => ({
    name: `a row a token${interleaved ? ", interleaved" : ""}`,
    inputs: ["f32[1, 2, S, 6]", "f32[1, S, 2]", "f32[1, S, 2]"],
    node: `nn.rope(x: %x, cos: %y, sin: %z) {"interleaved":${interleaved}} : f32[1, 2, S, 6]`,
  })),
  attention("all keys", `"causal":false,"softcap":0,"window":0`, undefined, "5"),
  attention("causal", `"causal":true,"softcap":0,"window":0`),
  attention("causal, more keys", `"causal":true,"softcap":0,"window":0`, undefined, "9"),
  attention("window and cap", `"causal":true,"softcap":1.5,"window":2`),
  attention("bools, some queries blind", `"causal":false,"softcap":0,"window":0`, "bool[S, 5]", "5"),
  attention("added mask", `"causal":true,"softcap":0,"window":0`, "f32[1, 1, S, S]"),
];

/** What needs caches or sizes, and what has files of its own. */
const testedElsewhere = [
  ...["range", "kv.update"],
  ...["is_inf", "mod", "fmod", "shift_left", "shift_right"],
  ...["bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor"],
  ...["reduce_prod", "argmax", "argmin", "cumsum", "topk"],
  ...["tile", "triangle", "pad"],
  ...["gather_elements", "gather_nd", "nonzero", "scatter_elements", "scatter_nd"],
];

const letters = ["x", "y", "z", "m"];

function textOf({ inputs, before = [], node, results = 1 }: Case): string {
  const names = Array.from({ length: results }, (_, i) => `%r${i}`);
  const numbers = new Map<string, number>();
  const numbered = (name: string): string => {
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return `%${numbers.get(name)}`;
  };
  const text = [
    "symbol S 1..8",
    ...inputs.map((type, i) => `%${letters[i]} = input "${letters[i]}" : ${type}`),
    // It says what S is where no other input does.
    `%size = input "size" : f32[S]`,
    ...before,
    `${names.join(", ")} = ${node}`,
    ...names.map((name, i) => `output "${i}" ${name}`),
    "",
  ].join("\n");
  return text.replace(/%([a-z]\w*)/g, (_, name) => numbered(name));
}

/** Numbers that depend on `seed` alone. */
function randomTensor(
  type: string,
  length: number,
  [low, high]: readonly [number, number],
  seed: number,
): Tensor {
  const [, dtype, sizes] = /^(\w+)\[(.*)\]$/.exec(type)!;
  const shape = sizes!.split(", ").map((size) => (size === "S" ? length : Number(size)));
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const element = (): number => {
    if (dtype === "bool") return Number(next() < 0.4);
    return isFloat(dtype as Tensor["dtype"])
      ? low + next() * (high - low)
      : Math.floor(low + next() * (high - low + 1));
  };
  const data = Array.from({ length: elementCount(shape) }, element);
  return tensor(dtype as Tensor["dtype"], shape, data);
}

const titleOf = ({ name, node }: Case): string => `${/^[\w.]+/.exec(node)![0]}${name ? `: ${name}` : ""}`;

describe("what an op is decomposed into computes what its kernel does", () => {
  test.each(cases.map((each, i) => [`${titleOf(each)} (${i})`, each] as const))("%s", async (_, each) => {
    const graph = graphOf(textOf(each));
    expect(portableRefusals(graph)).toEqual([]);
    const [ours, theirs] = [await runPortable(graph), await runReference(graph)];
    for (const length of [5, 1, 3]) {
      const given = [...each.inputs, "f32[S]"].map((type, i) => [
        [...letters.slice(0, each.inputs.length), "size"][i]!,
        randomTensor(type, length, each.range ?? [-3, 3], 17 * length + i),
      ]);
      const inputs = Object.fromEntries(given) as Inputs;
      const [actual, expected] = [await ours(inputs), await theirs(inputs)];
      for (const [name, { dtype, shape, data }] of Object.entries(expected)) {
        expect(actual[name]!.dtype).toBe(dtype);
        expect(actual[name]!.shape).toEqual(shape);
        data.forEach((value, i) => {
          if (Number.isFinite(value)) expect(actual[name]!.data[i]).toBeCloseTo(value, 4);
          else expect(actual[name]!.data[i]).toBe(value);
        });
      }
    }
  });

  test("every decomposition is among them or has tests of its own", () => {
    const tested = new Set(cases.map(({ node }) => /^[\w.]+/.exec(node)![0]));
    const missing = [...decompositions.keys()].filter((op) => !tested.has(op));
    expect(missing.sort()).toEqual([...testedElsewhere].sort());
  });
});
