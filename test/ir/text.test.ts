import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps, type OpRegistry } from "../../src/ir/ops/index.ts";
import { type ArgInfo, type AttrValue, InferenceError, type OpDef } from "../../src/ir/ops/op.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { hashGraph, printGraph } from "../../src/ir/print.ts";
import { tensorType } from "../../src/ir/type.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { inlineLimit, inlineWeight, type WeightRef } from "../../src/ir/weights.ts";
import { addDims, type Dim, floorDivideDims, maxDims, multiplyDims, symbol } from "../../src/tensor/dim.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const S = symbol("S", 64, 1);
const P = symbol("past.len", 960);
const B = symbol("_b", -1, -5);

/** An op with every kind of argument and attribute, and two results. */
const anything: OpDef = {
  doc: "Takes anything.",
  args: ["xs*", "y?"],
  infer({ xs, y }) {
    const [first = y] = xs as unknown as readonly ArgInfo[];
    const type = first === undefined ? tensorType("f32", []) : (first as ArgInfo).type;
    return [type, { ...type, dtype: "bool" }];
  },
  kernel: () => [],
};
const ops: OpRegistry = new Map([...coreOps, ["acme-x/any", anything]]);

const large = (id: string, shape: readonly number[] = [64, 64], dtype: DType = "f32"): WeightRef => ({
  id,
  dtype,
  shape,
  rows: () => Promise.reject(new Error("nobody reads it")),
});

function weightsOf(graph: Graph) {
  const weights = new Map<string, WeightRef>();
  const values = [
    ...graph.nodes.flatMap((node) => node.operands),
    ...graph.outputs.map(({ value }) => value),
  ];
  for (const { def } of values) if (def.kind === "const") weights.set(def.data.id, def.data);
  return (id: string) => weights.get(id);
}
const parsed = (graph: Graph): Graph => parseGraph(printGraph(graph), ops, weightsOf(graph));

function build(make: (b: Builder) => void): Graph {
  const graph = new Graph(ops);
  make(graph.edit("test"));
  return graph;
}

/** One of everything. */
const sample = build((b) => {
  const tokens = b.input("tokens", tensorType("i64", [1, S]));
  const start_pos = b.input("start_pos", tensorType("i64", [1]), [P]);
  const cache = b.state("kv.0.key", tensorType("f32", [1, 1, 1024, 64]));
  const table = b.constant(large('model "x".safetensors[8+16384]'));
  const x = b.at("hf:embed")("nn.embedding", { table, ids: tokens });
  const scale = b.constant(inlineWeight(tensor("f32", [4], [Number.NaN, -0, -Infinity, 0.1])));
  const four = b("reshape", { x, shape: b.dims([1, 1, S, 64]) });
  const updated = b.at("onnx:/cache write")("kv.update", { cache, new: four, start_pos });
  const head = b("slice", { x: updated, starts: b.dims([0]), ends: b.dims([4]) }, { axes: [3], steps: [1] });
  const sum = b.at("x")("add", { a: head, b: scale });
  const [values, indices] = b.all("topk", { x: sum, k: b.dims([2]) }, { axis: -1, largest: true });
  const [any] = b.untyped(
    "acme-x/any",
    { xs: [values!, x], y: undefined },
    { limit: -Infinity, names: ["a"] },
  );
  b.output("values", any!);
  b.output("indices", indices!);
  b.output("sum of sizes", b.dims(addDims(multiplyDims(2, P), -1)));
  indices!.node!.setLoc({ source: "onnx:/TopK", by: ["first", "second rule"] });
});

test("the text of a graph", () => {
  expect(printGraph(sample)).toBe(`symbol S 1..64
symbol past.len 0..960
%0 = input "tokens" : i64[1, S]
%1 = input "start_pos" = [past.len] : i64[1]
%2 = state "kv.0.key" : f32[1, 1, 1024, 64]
%3 = const @"model \\"x\\".safetensors[8+16384]" : f32[64, 64]
%4 = nn.embedding(table: %3, ids: %0) : f32[1, S, 64]  # hf:embed
%5 = dims [1, 1, S, 64] : i64[4]
%6 = reshape(x: %4, shape: %5) : f32[1, 1, S, 64]
%7 = kv.update(cache: %2, new: %6, start_pos: %1) : f32[1, 1, 1024, 64]  # "onnx:/cache write"
%8 = dims [0] : i64[1]
%9 = dims [4] : i64[1]
%10 = slice(x: %7, starts: %8, ends: %9) {"axes":[3],"steps":[1]} : f32[1, 1, 1024, 4]
%11 = const f32[4] {NaN, -0, -Infinity, 0.10000000149011612}
%12 = add(a: %10, b: %11) : f32[1, 1, 1024, 4]  # x
%13 = dims [2] : i64[1]
%14, %15 = topk(x: %12, k: %13) {"axis":-1,"largest":true} : f32[1, 1, 1024, 2], i64[1, 1, 1024, 2]  # onnx:/TopK < first < "second rule"
%16, %17 = acme-x/any(xs: [%14, %4]) {"limit":"@number -Infinity","names":["a"]} : f32[1, 1, 1024, 2], bool[1, 1, 1024, 2]
output "values" %16
output "indices" %15
%18 = dims [2*past.len - 1] : i64[]
output "sum of sizes" %18
`);
});

test("the text of a graph is read back", () => {
  const back = parsed(sample);
  expect(printGraph(back)).toBe(printGraph(sample));
  expect(hashGraph(back)).toBe(hashGraph(sample));
  expect(verifyGraph(back)).toEqual([]);
  const topk = back.nodes.find(({ op }) => op === "topk")!;
  expect(topk.loc).toEqual({ source: "onnx:/TopK", by: ["first", "second rule"] });
  expect(back.nodes.at(-1)!.attrs).toEqual({ limit: -Infinity, names: ["a"] });
  const scale = back.nodes.find(({ op }) => op === "add")!.arg("b").def;
  expect(scale.kind === "const" && [...scale.data.inline!.data].map((x) => Object.is(x, -0))).toEqual([
    false,
    true,
    false,
    false,
  ]);
});

describe("any graph", () => {
  const awkward = fc.constantFrom(
    ...[
      "",
      " ",
      "a < b",
      "<",
      "a  # b",
      '"',
      'q" : f32[1]',
      "two\nlines",
      "\r\u2028\u2029",
      "\\",
      "@",
      "@number 5",
    ],
    ...["} : i64[1]", "{", "[%1] : ", "(", "%0 = input", "\u0000", "\ud800", "é", "__proto__"],
  );
  const text = fc.oneof(awkward, fc.string({ unit: "binary", maxLength: 8 }), fc.string({ maxLength: 8 }));
  const double = fc.oneof(fc.double(), fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity));
  const attr: fc.Arbitrary<AttrValue> = fc.oneof(
    double,
    text,
    fc.boolean(),
    fc.array(double, { maxLength: 3 }),
    fc.array(text, { maxLength: 3 }),
  );
  const pick = fc.integer({ min: 0, max: 1 << 20 });
  const size: fc.Arbitrary<Dim> = fc.constantFrom<Dim[]>(
    ...[0, 1, 2, 3, S, P, B, addDims(S, P), multiplyDims(2, S), floorDivideDims(addDims(P, 1), 3)],
    maxDims(multiplyDims(S, S), addDims(B, -2)),
  );
  const dtype = fc.constantFrom<DType[]>("f32", "f16", "i64", "i8", "u4", "bool");
  const shape = fc.array(size, { maxLength: 3 });

  /** A step adds a value; the picks choose among the values so far. */
  type Step = (b: Builder, take: (i: number) => Value) => readonly Value[];
  const leaf: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ name: text, dtype, shape }).map(
      (s): Step =>
        (b) => [b.input(s.name, tensorType(s.dtype, s.shape))],
    ),
    fc.record({ name: text, list: fc.array(size, { maxLength: 3 }) }).map(
      (s): Step =>
        (b) => [b.input(s.name, tensorType("i64", [s.list.length]), s.list)],
    ),
    fc.record({ name: text, dtype, shape }).map(
      (s): Step =>
        (b) => [b.state(s.name, tensorType(s.dtype, s.shape))],
    ),
    fc.array(double, { maxLength: 20 }).map(
      (list): Step =>
        (b) => [b.constant(inlineWeight(tensor("f32", [list.length], list)))],
    ),
    fc.record({ dtype, value: fc.nat(1) }).map(
      (s): Step =>
        (b) => [b.constant(inlineWeight(tensor(s.dtype, [], [s.value])))],
    ),
    text.map(
      (id): Step =>
        (b) => [b.constant(large(id))],
    ),
    fc.oneof(size, fc.array(size, { maxLength: 4 })).map(
      (sizes): Step =>
        (b) => [b.dims(sizes)],
    ),
  );
  const binary: fc.Arbitrary<Step> = fc
    .record({ op: fc.constantFrom("add", "mul", "equal", "maximum"), a: pick, b: pick, at: text })
    .map(
      (s): Step =>
        (b, take) =>
          b.at(s.at).untyped(s.op, { a: take(s.a), b: take(s.b) }, {}),
    );
  const cast: fc.Arbitrary<Step> = fc.record({ x: pick, to: dtype, at: text }).map(
    (s): Step =>
      (b, take) =>
        b.at(s.at).untyped("cast", { x: take(s.x) }, { to: s.to }),
  );
  const reshape: fc.Arbitrary<Step> = fc.record({ x: pick, sizes: pick }).map(
    (s): Step =>
      (b, take) =>
        b.untyped("reshape", { x: take(s.x), shape: take(s.sizes) }, {}),
  );
  const attrs = fc.dictionary(
    fc.string({ maxLength: 3 }).filter((key) => key !== "__proto__"),
    attr,
    { maxKeys: 3 },
  );
  const any: fc.Arbitrary<Step> = fc
    .record({ xs: fc.array(pick, { maxLength: 3 }), y: fc.option(pick, { nil: undefined }), attrs, at: text })
    .map(
      (s): Step =>
        (b, take) => {
          const y = s.y === undefined ? undefined : take(s.y);
          return b.at(s.at).untyped("acme-x/any", { xs: s.xs.map(take), y }, s.attrs);
        },
    );
  const step = fc.oneof(leaf, binary, cast, reshape, any, any);
  const graphs = fc
    .record({
      steps: fc.array(step, { minLength: 4, maxLength: 24 }),
      outputs: fc.array(text, { minLength: 1, maxLength: 5 }),
    })
    .map(({ steps, outputs }) =>
      build((b) => {
        const values: Value[] = [b.dims([2, S])];
        for (const each of steps) {
          try {
            values.push(...each(b, (i) => values[i % values.length]!));
          } catch (error) {
            if (!(error instanceof InferenceError)) throw error;
          }
        }
        for (const [i, name] of outputs.entries()) b.output(name, values.at(-1 - (i % values.length))!);
      }),
    );

  test("is read back from its text", () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const back = parsed(graph);
        expect(printGraph(back)).toBe(printGraph(graph));
        expect(hashGraph(back)).toBe(hashGraph(graph));
        const noted = ({ nodes }: Graph) => nodes.map(({ loc, attrs }) => [loc.source, attrs]);
        expect(noted(back)).toEqual(noted(graph));
        expect(back.inputs.map(({ def, contents }) => [def, contents])).toEqual(
          graph.inputs.map(({ def, contents }) => [def, contents]),
        );
        expect(back.outputs.map(({ name }) => name)).toEqual(graph.outputs.map(({ name }) => name));
      }),
      { numRuns: 300 },
    );
  });
});

describe("the hash", () => {
  interface Parts {
    readonly isReversed?: boolean;
    readonly source?: string;
    readonly op?: "sub" | "mul";
    readonly input?: string;
    readonly output?: string;
    readonly type?: DType;
    readonly bound?: number;
    readonly start?: Dim;
    readonly sizes?: Dim;
    readonly scalar?: number;
    readonly weight?: string;
    readonly isSwapped?: boolean;
    readonly axis?: number;
  }
  const graph = (parts: Parts = {}): Graph =>
    build((b) => {
      const { isReversed = false, source = "onnx:/a", type = "f32", axis = 2 } = parts;
      const n = symbol("n", parts.bound ?? 8);
      const x = b.input(parts.input ?? "x", tensorType(type, [n, 4, 64]));
      b.input("start", tensorType("i64", [1]), [parts.start ?? n]);
      const scalar = () => b.constant(inlineWeight(tensor(type, [], [parts.scalar ?? 2])));
      const weight = () => b.constant(large(parts.weight ?? "w", [64, 64], type));
      const [p, q] = isReversed ? [weight(), scalar()].reverse() : [scalar(), weight()];
      const product = b.at(source)("matmul", { a: x, b: q! });
      const [l, r] = parts.isSwapped ? [p!, product] : [product, p!];
      const combined = b.untyped(parts.op ?? "sub", { a: l, b: r }, {})[0]!;
      const sum = b("reduce_sum", { x: combined }, { axes: [axis], keepdims: false });
      b.output(parts.output ?? "y", b("reshape", { x: sum, shape: b.dims([parts.sizes ?? n, -1]) }));
    });
  const plain = hashGraph(graph());

  test("is the same wherever nodes come from and in whatever order they were made", () => {
    expect(plain).toMatch(/^[0-9a-f]{64}$/);
    expect(hashGraph(graph({ source: "hf:other  # place" }))).toBe(plain);
    expect(hashGraph(graph({ isReversed: true }))).toBe(plain);
  });

  test("changes with everything else", () => {
    const others: readonly Parts[] = [
      { op: "mul" },
      { input: "x  # a" },
      { input: "x  # b" },
      { output: "z" },
      { type: "f16" },
      { bound: 9 },
      { start: 0 },
      { sizes: 4 },
      { scalar: 3 },
      { weight: "v" },
      { weight: "v  # 2" },
      { isSwapped: true },
      { axis: 1 },
    ];
    const hashes = others.map((parts) => hashGraph(graph(parts)));
    expect(new Set([plain, ...hashes]).size).toBe(others.length + 1);
  });

  test("leaves out what is no part of the graph", () => {
    const more = graph();
    more.edit("test")("neg", { x: more.inputs[0]! });
    expect(hashGraph(more)).toBe(plain);
  });
});

describe("the structure of a graph", () => {
  const structure = (make: (b: Builder, x: Value) => Value): string =>
    printGraph(
      build((b) => b.output("y", make(b, b.input("x", tensorType("f32", [S, 64]))))),
      { structure: true },
    );
  const scalar = (b: Builder, value: number) => b.constant(inlineWeight(tensor("f32", [], [value])));

  test("has neither places nor contents of constants", () => {
    const text = structure((b, x) =>
      b.at("onnx:/n")("mul", { a: b("matmul", { a: x, b: b.constant(large("w")) }), b: scalar(b, 3) }),
    );
    expect(text).toBe(`symbol S 1..64
%0 = input "x" : f32[S, 64]
%1 = const : f32[64, 64]
%2 = matmul(a: %0, b: %1) : f32[S, 64]
%3 = mul(a: %2, b: f32[]) : f32[S, 64]
output "y" %3
`);
  });

  test("does not tell equal small constants from one", () => {
    const shared = structure((b, x) => {
      const one = scalar(b, 1);
      return b("add", { a: b("mul", { a: x, b: one }), b: one });
    });
    const apart = structure((b, x) => b("add", { a: b("mul", { a: x, b: scalar(b, 1) }), b: scalar(b, 2) }));
    expect(apart).toBe(shared);
  });

  test("tells one large constant from two, and a large from a small one", () => {
    const twice = (weights: (b: Builder) => readonly [Value, Value]) =>
      structure((b, x) => {
        const [first, second] = weights(b);
        return b("matmul", { a: b("matmul", { a: x, b: first }), b: second });
      });
    const shared = twice((b) => {
      const w = b.constant(large("w"));
      return [w, w];
    });
    expect(twice((b) => [b.constant(large("v")), b.constant(large("v"))])).not.toBe(shared);
    const bias = (shape: readonly number[]) =>
      structure((b, x) => b("add", { a: x, b: b.constant(large("b", shape)) }));
    expect(bias([inlineLimit / 64, 1, 64])).not.toContain("const");
    expect(bias([inlineLimit / 64 + 1, 1, 64])).toContain("const");
  });
});

describe("text that is no graph", () => {
  const head = `symbol S 1..8\n%0 = input "x" : f32[S, 4]\n`;
  test.each([
    ["%1 = frobnicate", "line 3: not a line of a graph"],
    ["%1 = acme.op(x: %0) : f32[S, 4]", "line 3: unknown op acme.op"],
    ["%1 = neg(x: %7) : f32[S, 4]", "line 3: no value %7"],
    ["%1 = neg(y: %0) : f32[S, 4]", "line 3: neg lacks its argument x"],
    ["%1 = neg(x: %0, y: %0) : f32[S, 4]", "line 3: neg has no argument y"],
    ["%1 = neg(x: %0) : f32[S, 5]", "line 3: is f32[S, 4], not f32[S, 5]"],
    ["%1 = neg(x: %0) : f32[S, 4], f32[S, 4]", "line 3: is f32[S, 4], not f32[S, 4], f32[S, 4]"],
    ["%1 = neg(x: %0) : f32[T, 4]", "line 3: not a size: T"],
    ["%1 = neg(x: %0) {1} : f32[S, 4]", "line 3: "],
    ['%1 = input "y" : f31[S]', "line 3: not a type: f31[S]"],
    ['%1 = const @"w" : f32[2]', 'line 3: no weight "w"'],
    ['%1 = const @"known" : f32[2]', "line 3: is f32[64, 64], not f32[2]"],
    ["%1 = const f32[2] {1, 2, 3}", "line 3: 3 elements do not fill f32[2]"],
    ["%1 = const f32[2] {1, x}", "line 3: not a number: x"],
    ["%1 = const f32[S] {1}", "line 3: 1 elements do not fill f32[S]"],
    ['output "y" %3', "line 3: no value %3"],
  ])("%s", (line, message) => {
    const known = (id: string) => (id === "known" ? large(id) : undefined);
    expect(() => parseGraph(`${head}${line}\n`, ops, known)).toThrow(SyntaxError);
    expect(() => parseGraph(`${head}${line}\n`, ops, known)).toThrow(message);
  });

  test("empty lines are none", () => {
    const graph = parseGraph(`\n${head}\n  \noutput "x" %0\n`, ops, () => undefined);
    expect(printGraph(graph)).toBe(`${head}output "x" %0\n`);
  });
});
