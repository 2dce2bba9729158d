import { describe, expect, test } from "vitest";
import { type Builder, Graph, type Node, sameValueType, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { InferenceError, UnknownElementsError } from "../../src/ir/ops/op.ts";
import { formatType, tensorType } from "../../src/ir/type.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { inlineWeight } from "../../src/ir/weights.ts";
import { addDims, dimKey, symbol } from "../../src/tensor/dim.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const S = symbol("S", 64, 1);
const P = symbol("P", 64);
const row = tensorType("f32", [1, S, 4]);

function fresh(): { graph: Graph; b: Builder; x: Value } {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  return { graph, b, x: b.input("x", row) };
}
const opsOf = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);
const typesOf = (graph: Graph): string[] => graph.nodes.map(({ results }) => formatType(results[0]!.type));
const number = (b: Builder, value: number): Value => b.constant(inlineWeight(tensor("f32", [], [value])));

describe("building", () => {
  test("infers types and contents, and records users", () => {
    const { graph, b, x } = fresh();
    const sum = b("add", { a: x, b: x });
    b.output("y", b("reshape", { x: sum, shape: b.dims([S, 4]) }));
    expect(typesOf(graph)).toEqual(["f32[1, S, 4]", "f32[S, 4]"]);
    expect([...x.users]).toEqual([sum.node]);
    expect(sum.node!.operands).toEqual([x, x]);
    expect(verifyGraph(graph)).toEqual([]);
  });

  test("takes arguments in any order and keeps them in the op's", () => {
    const { b, x } = fresh();
    const condition = b("greater", { b: number(b, 0), a: x });
    const node = b("where", { b: x, a: number(b, 1), condition }).node!;
    expect(Object.keys(node.args)).toEqual(["condition", "a", "b"]);
    expect(node.operands[0]).toBe(condition);
  });

  test("takes lists, and leaves optional arguments out", () => {
    const { b, x } = fresh();
    const weight = b.constant(inlineWeight(tensor("f32", [2, 4])));
    const bias = b.constant(inlineWeight(tensor("f32", [2])));
    const both = b("concat", { inputs: [x, x, b("neg", { x })] }, { axis: 1 });
    expect(formatType(both.type)).toBe("f32[1, 3*S, 4]");
    expect(both.node!.operands.length).toBe(3);
    expect(b("nn.linear", { x, weight }).node!.operands.length).toBe(2);
    expect(b("nn.linear", { x, weight, bias: undefined }).node!.args.bias).toBeUndefined();
    expect(b("nn.linear", { x, weight, bias }).node!.operands[2]).toBe(bias);
  });

  test("gives all results of an op that has several", () => {
    const { b, x } = fresh();
    const [values, indices] = b.all("topk", { x, k: b.dims([2]) }, { axis: -1, largest: true });
    expect([values!, indices!].map(({ type }) => formatType(type))).toEqual(["f32[1, S, 2]", "i64[1, S, 2]"]);
    expect([values, indices].map((value) => value!.def)).toMatchObject([{ index: 0 }, { index: 1 }]);
    expect(values!.node).toBe(indices!.node);
  });

  test("lists attributes by name", () => {
    const { b, x } = fresh();
    const [y] = b.untyped("reduce_sum", { x }, { keepdims: true, axes: [0] });
    expect(Object.keys(y!.node!.attrs)).toEqual(["axes", "keepdims"]);
  });

  test.each<[string, (b: Builder, x: Value) => unknown, string]>([
    ["an unknown op", (b, x) => b.untyped("acme.fold", { x }, {}), "unknown op acme.fold"],
    ["a missing argument", (b, x) => b.untyped("add", { a: x }, {}), "add lacks its argument b"],
    ["an unknown argument", (b, x) => b.untyped("neg", { x, y: x }, {}), "neg has no argument y"],
    ["a list for a value", (b, x) => b.untyped("neg", { x: [x] }, {}), "x of neg must be one value"],
    [
      "a value for a list",
      (b, x) => b.untyped("concat", { inputs: x }, { axis: 0 }),
      "inputs of concat must be a list",
    ],
  ])("refuses %s", (_, build, message) => {
    const { graph, b, x } = fresh();
    expect(() => build(b, x)).toThrow(new Error(message));
    expect(x.users.size).toBe(0);
    expect(graph.nodes).toEqual([]);
  });

  test("refuses arguments that do not fit, saying what they are", () => {
    const { b, x } = fresh();
    const ids = b.input("ids", tensorType("i64", [1, S]));
    expect(() => b("add", { a: x, b: ids })).toThrow(InferenceError);
    expect(() => b("add", { a: x, b: ids })).toThrow(
      /^add\(a: f32\[1, S, 4\]; b: i64\[1, S\]\): a is f32 and b is i64/,
    );
    expect(() => b("concat", { inputs: [x, ids] }, { axis: 0 })).toThrow("inputs: f32[1, S, 4], i64[1, S]");
    expect(x.users.size).toBe(0);
  });

  test("names the argument whose elements it would have to know", () => {
    const { b, x } = fresh();
    const shape = b.input("shape", tensorType("i64", [2]));
    try {
      b("reshape", { x, shape });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(UnknownElementsError);
      expect((error as UnknownElementsError).argument).toBe(shape);
      expect((error as Error).message).toContain("reshape(x: f32[1, S, 4]; shape: i64[2]): needs the shape");
    }
  });

  test("refuses what an op's own check refuses", () => {
    const { b } = fresh();
    const q = b.input("q", tensorType("f32", [1, 2, S, 8]));
    const attrs = { scale: 1, causal: false, softcap: -1, window: 0 };
    expect(() => b("nn.sdpa", { q, k: q, v: q }, attrs)).toThrow(InferenceError);
  });
});

describe("contents", () => {
  test("are known of constants that can be shapes, and of sizes", () => {
    const { b } = fresh();
    const constant = (dtype: "i64" | "i32" | "bool" | "f32", count = 2) =>
      b.constant(inlineWeight(tensor(dtype, [count], new Array(count).fill(1)))).contents;
    expect(constant("i64")).toEqual([1, 1]);
    expect(constant("i32")).toEqual([1, 1]);
    expect(constant("bool")).toEqual([1, 1]);
    expect(constant("f32")).toBeUndefined();
    expect(constant("i64", 1025)).toBeUndefined();
    expect(formatType(b.dims([S, 4]).type)).toBe("i64[2]");
    expect(formatType(b.dims(S).type)).toBe("i64[]");
    expect(b.dims([]).contents).toEqual([]);
  });

  test("go through ops, in symbols", () => {
    const { b } = fresh();
    const start = b.input("start_pos", tensorType("i64", [1]), [P]);
    const sum = b("add", { a: start, b: b.dims([S]) });
    expect(sum.contents!.map(dimKey)).toEqual(["P + S"]);
    const both = b("concat", { inputs: [sum, b.dims([4])] }, { axis: 0 });
    expect(both.contents!.map(dimKey)).toEqual(["P + S", "4"]);
  });
});

describe("the order of nodes", () => {
  test("is one, whatever was made first", () => {
    const orders = [true, false].map((isLeftFirst) => {
      const { graph, b, x } = fresh();
      const make = { left: () => b("exp", { x: b("abs", { x }) }), right: () => b("neg", { x }) };
      const right = isLeftFirst ? undefined : make.right();
      const left = make.left();
      b.output("y", b("sub", { a: left, b: right ?? make.right() }));
      return opsOf(graph);
    });
    expect(orders).toEqual([
      ["abs", "exp", "neg", "sub"],
      ["abs", "exp", "neg", "sub"],
    ]);
  });

  test("puts every node after what it takes, each once", () => {
    const { graph, b, x } = fresh();
    const shared = b("exp", { x });
    b.output("first", b("add", { a: b("mul", { a: shared, b: shared }), b: shared }));
    b.output("second", b("neg", { x: shared }));
    expect(opsOf(graph)).toEqual(["exp", "mul", "add", "neg"]);
  });

  test("takes writes to states in the order of the states", () => {
    const orders = [
      [0, 1],
      [1, 0],
    ].map((order) => {
      const { graph, b } = fresh();
      const rows = b.input("rows", tensorType("f32", [1, 1, S, 2]));
      const caches = ["a", "b"].map((name) => b.state(name, tensorType("f32", [1, 1, 8, 2])));
      const start_pos = b.input("start_pos", tensorType("i64", [1]), [P]);
      for (const i of order)
        b("kv.update", { cache: caches[i]!, new: b(i === 0 ? "exp" : "neg", { x: rows }), start_pos });
      return opsOf(graph);
    });
    expect(orders[0]).toEqual(["exp", "kv.update", "neg", "kv.update"]);
    expect(orders[1]).toEqual(orders[0]);
  });

  test("does not exhaust the stack in a deep graph", () => {
    const { graph, b, x } = fresh();
    let y = x;
    for (let i = 0; i < 20000; i++) y = b("neg", { x: y });
    b.output("y", y);
    expect(graph.nodes.length).toBe(20000);
  });

  test("there is none when a node depends on itself", () => {
    const { graph, b, x } = fresh();
    const y = b("neg", { x });
    b.output("y", b("exp", { x: y }));
    b.replace(y, b("abs", { x: y }));
    expect(() => graph.nodes).toThrow("abs depends on itself");
  });
});

describe("replacing a value", () => {
  test("changes its users and outputs, and forgets what nothing uses", () => {
    const { graph, b, x } = fresh();
    const inner = b("exp", { x });
    const old = b("neg", { x: inner });
    const twice = b("add", { a: old, b: old });
    const list = b("concat", { inputs: [x, old] }, { axis: 1 });
    b.output("y", twice);
    b.output("z", list);
    b.output("old", old);
    const next = b("abs", { x });
    b.replace(old, next);
    expect(twice.node!.operands).toEqual([next, next]);
    expect(list.node!.operands).toEqual([x, next]);
    expect(graph.outputs.map(({ value }) => value)).toEqual([twice, list, next]);
    expect([...next.users]).toEqual([twice.node, list.node]);
    expect([old.users.size, inner.users.size, x.users.has(inner.node!)]).toEqual([0, 0, false]);
    expect(opsOf(graph)).toEqual(["abs", "add", "concat"]);
    expect(verifyGraph(graph)).toEqual([]);
  });

  test("keeps what another node still uses", () => {
    const { graph, b, x } = fresh();
    const shared = b("exp", { x });
    const old = b("neg", { x: shared });
    b.output("y", old);
    b.output("z", shared);
    b.replace(old, x);
    expect(opsOf(graph)).toEqual(["exp"]);
    expect([...x.users]).toEqual([shared.node]);
  });

  test("by itself is nothing", () => {
    const { graph, b, x } = fresh();
    const y = b("neg", { x });
    b.output("y", y);
    b.replace(y, y);
    expect(opsOf(graph)).toEqual(["neg"]);
  });

  test.each([
    ["dtype", tensorType("f16", [1, S, 4])],
    ["rank", tensorType("f32", [S, 4])],
    ["size", tensorType("f32", [1, S, 5])],
    ["bounded size", tensorType("f32", [1, addDims(S, 64), 4])],
  ])("takes one of the same %s only, unless types are changing", (_, type) => {
    const { graph, b, x } = fresh();
    const y = b("neg", { x });
    b.output("y", y);
    const other = b.input("other", type);
    expect(() => b.replace(y, other)).toThrow("test: f32[1, S, 4] cannot be replaced by");
    expect(graph.outputs[0]!.value).toBe(y);
    b.replace(y, other, { retype: true });
    expect(graph.outputs[0]!.value).toBe(other);
  });

  test("takes sizes that may be equal", () => {
    const { b, x } = fresh();
    const y = b("neg", { x });
    b.replace(y, b.input("other", tensorType("f32", [1, P, 4])));
    expect(y.users.size).toBe(0);
  });
});

describe("nodes that nothing uses", () => {
  test("are no part of the graph, and no users after a sweep", () => {
    const { graph, b, x } = fresh();
    const unused = b.input("unused", row);
    b("exp", { x: b("add", { a: x, b: unused }) });
    b.output("y", b("neg", { x }));
    expect(opsOf(graph)).toEqual(["neg"]);
    expect(() => b.removeInput(unused)).toThrow("only an unused input");
    b.sweep();
    expect([...x.users].map(({ op }) => op)).toEqual(["neg"]);
    b.removeInput(unused);
    expect(graph.inputs).toEqual([x]);
  });

  test("are what an output that is taken away leaves", () => {
    const { graph, b, x } = fresh();
    b.output("y", b("exp", { x }));
    b.output("z", b("neg", { x }));
    b.removeOutput("y");
    expect(opsOf(graph)).toEqual(["neg"]);
    expect([...x.users].map(({ op }) => op)).toEqual(["neg"]);
    expect(() => b.removeOutput("y")).toThrow("no output y");
  });

  test("an input that is an output is used", () => {
    const { b, x } = fresh();
    b.output("y", x);
    expect(() => b.removeInput(x)).toThrow("only an unused input");
  });
});

describe("writes to states", () => {
  function withCache() {
    const { graph, b } = fresh();
    const cache = b.state("kv.0.key", tensorType("f32", [1, 1, 8, 2]));
    const rows = b.input("rows", tensorType("f32", [1, 1, S, 2]));
    const start_pos = b.input("start_pos", tensorType("i64", [1]), [P]);
    return { graph, b, cache, rows, start_pos, update: b("kv.update", { cache, new: rows, start_pos }) };
  }

  test("stay, whether or not anything reads them", () => {
    const { graph, b, update } = withCache();
    expect(opsOf(graph)).toEqual(["kv.update"]);
    b.output("y", b("neg", { x: update }));
    b.removeOutput("y");
    b.sweep();
    expect(opsOf(graph)).toEqual(["kv.update"]);
    expect(verifyGraph(graph)).toEqual([]);
  });

  test("go when another value takes their place", () => {
    const { graph, b, cache, rows, start_pos, update } = withCache();
    b.output("y", b("neg", { x: update }));
    b.replace(update, b("kv.update", { cache, new: b("exp", { x: rows }), start_pos }));
    expect(opsOf(graph)).toEqual(["exp", "kv.update", "neg"]);
    expect(rows.users.size).toBe(1);
    expect(verifyGraph(graph)).toEqual([]);
  });
});

describe("provenance", () => {
  const at = (value: Value) => value.node!.loc;

  test("is what the frontend says, and the builder's name where it says nothing", () => {
    const { b, x } = fresh();
    expect(at(b.at("onnx:/Neg")("neg", { x }))).toEqual({ source: "onnx:/Neg", by: [] });
    expect(at(b("neg", { x }))).toEqual({ source: "", by: ["test"] });
  });

  test("goes on to the nodes that take a node's place, with every rule since", () => {
    const { graph, b, x } = fresh();
    const kept = b.at("onnx:/Kept")("exp", { x });
    const old = b.at("onnx:/Old")("neg", { x: kept });
    b.output("y", old);
    const first = graph.edit("first-rule");
    const inner = first("abs", { x: kept });
    const middle = first("neg", { x: inner });
    first.replace(old, middle);
    for (const value of [inner, middle])
      expect(at(value)).toEqual({ source: "onnx:/Old", by: ["first-rule"] });
    expect(at(kept)).toEqual({ source: "onnx:/Kept", by: [] });

    const second = graph.edit("second-rule");
    const last = second("sign", { x: inner });
    second.replace(middle, last);
    expect(at(last)).toEqual({ source: "onnx:/Old", by: ["first-rule", "second-rule"] });
    expect(at(inner)).toEqual({ source: "onnx:/Old", by: ["first-rule"] });
  });
});

describe("changing types", () => {
  test("substitutes symbols everywhere, all at once", () => {
    const { graph, b } = fresh();
    const y = b.input("y", tensorType("f32", [S, P]), undefined);
    const start = b.input("start", tensorType("i64", [1]), [addDims(P, 1)]);
    const flat = b("reshape", { x: y, shape: b.dims([addDims(S, 0), 1, P]) });
    b.output("flat", flat);
    b.output("next", b("add", { a: start, b: b.dims([S]) }));
    b.output("sizes", b.dims([S, P]));
    b.substitute(
      new Map([
        ["S", P],
        ["P", addDims(S, P)],
      ]),
    );
    expect(formatType(y.type)).toBe("f32[P, P + S]");
    expect(start.contents!.map(dimKey)).toEqual(["P + S + 1"]);
    const [first, second, third] = graph.outputs.map(({ value }) => value) as [Value, Value, Value];
    expect(formatType(first.type)).toBe("f32[P, 1, P + S]");
    expect(second.contents!.map(dimKey)).toEqual(["2*P + S + 1"]);
    expect(third.contents!.map(dimKey)).toEqual(["P", "P + S"]);
    expect(verifyGraph(graph)).toEqual([]);
  });

  test("infers the results again", () => {
    const { graph, b, x } = fresh();
    const y = b("exp", { x: b("cast", { x }, { to: "f16" }) });
    b.output("y", y);
    b.retype((node: Node) => (node.op === "cast" ? { to: "f64" } : undefined));
    b.reinfer(new Map([[x, tensorType("bf16", [2, 3])]]));
    expect(formatType(y.type)).toBe("f64[2, 3]");
    expect(verifyGraph(graph)).toEqual([]);
  });

  test("refuses types that the ops do not take", () => {
    const { b, x } = fresh();
    b.output("y", b("exp", { x }));
    expect(() => b.reinfer(new Map([[x, tensorType("i64", [2])]]))).toThrow(InferenceError);
  });

  test("keeps attributes in order", () => {
    const { graph, b, x } = fresh();
    b.output("y", b("reduce_sum", { x }, { axes: [0], keepdims: true }));
    b.retype(() => ({ keepdims: false, axes: [1] }));
    expect(Object.keys(graph.nodes[0]!.attrs)).toEqual(["axes", "keepdims"]);
  });
});

test("small questions about values and nodes", () => {
  const { b, x } = fresh();
  const y = b("neg", { x });
  const both = b("concat", { inputs: [x, y] }, { axis: 0 });
  expect([y.node!.arg("x"), y.node!.optional("x"), y.node!.optional("y")]).toEqual([x, x, undefined]);
  expect(both.node!.list("inputs")).toEqual([x, y]);
  expect(() => y.node!.arg("y")).toThrow("neg has no single argument y");
  expect(() => both.node!.arg("inputs")).toThrow("concat has no single argument inputs");
  expect(() => both.node!.optional("inputs")).toThrow("concat has no single argument inputs");
  expect(() => y.node!.list("x")).toThrow("neg has no list of arguments x");
  expect([sameValueType(x, y), sameValueType(x, both)]).toEqual([true, false]);
});
