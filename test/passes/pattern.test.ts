import { describe, expect, test } from "vitest";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { tensorType } from "../../src/ir/type.ts";
import { inlineWeight } from "../../src/ir/weights.ts";
import {
  type Attempt,
  describe as describeValue,
  type Hole,
  matchPattern,
  type PatternBuilder,
  patternBuilder as p,
  patternSize,
  scalarOf,
} from "../../src/passes/pattern.ts";
import { symbol } from "../../src/tensor/dim.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const S = symbol("S", 64, 1);

function fresh() {
  const b = new Graph(coreOps).edit("test");
  const [x, y] = ["x", "y"].map((name) => b.input(name, tensorType("f32", [S, 4]))) as [Value, Value];
  return { b, x, y };
}
const constant = (b: Builder, value: number, dtype: DType = "f32"): Value =>
  b.constant(inlineWeight(tensor(dtype, [], [value])));

/** What the holes stand for, or how far the match got. */
function attempt(root: Hole, value: Value) {
  const progress: Attempt = { matched: 0, reason: "", at: undefined };
  return { bindings: matchPattern(root, value, progress), ...progress };
}
const matches = (root: Hole, value: Value): boolean => attempt(root, value).bindings !== undefined;

describe("an op", () => {
  test("binds every hole of its pattern", () => {
    const { b, x, y } = fresh();
    const [a, c] = [p.any(), p.any()];
    const inner = p("exp", { x: a });
    const root = p("sub", { a: inner, b: c });
    const value = b("sub", { a: b("exp", { x }), b: y });
    const { bindings } = attempt(root, value);
    expect([a, c, inner, root].map((hole) => bindings!.get(hole))).toEqual([
      x,
      y,
      value.node!.arg("a"),
      value,
    ]);
  });

  test("is no other op, no input and no constant", () => {
    const { b, x, y } = fresh();
    const root = p("neg", { x: p("exp", { x: p.any() }) });
    expect(matches(root, b("neg", { x: b("exp", { x }) }))).toBe(true);
    expect(matches(root, b("neg", { x: b("abs", { x }) }))).toBe(false);
    expect(matches(root, b("neg", { x: y }))).toBe(false);
    expect(matches(root, b("neg", { x: constant(b, 1) }))).toBe(false);
    expect(matches(root, b("exp", { x }))).toBe(false);
  });

  test("is matched by its first result only", () => {
    const { b, x } = fresh();
    const [values, indices] = b.all("topk", { x, k: b.dims([2]) }, { axis: -1, largest: true });
    const root = p("topk", { x: p.any() });
    expect(matches(root, values!)).toBe(true);
    expect(matches(root, indices!)).toBe(false);
    expect(matches(p("neg", { x: root }), b("neg", { x: indices! }))).toBe(false);
  });

  test("may have arguments that the pattern leaves out, and must have those it names", () => {
    const { b, x } = fresh();
    const weight = b.constant(inlineWeight(tensor("f32", [2, 4])));
    const bias = b.constant(inlineWeight(tensor("f32", [2])));
    const [bare, biased] = [b("nn.linear", { x, weight }), b("nn.linear", { x, weight, bias })];
    expect([bare, biased].map((value) => matches(p("nn.linear", { x: p.any() }), value))).toEqual([
      true,
      true,
    ]);
    const named = p("nn.linear", { bias: p.any() });
    expect([bare, biased].map((value) => matches(named, value))).toEqual([false, true]);
  });

  test("of a list has as many arguments, in their order", () => {
    const { b, x, y } = fresh();
    const [first, second] = [p.any(), p("neg", { x: p.any() })];
    const root = p("concat", { inputs: [first, second] });
    const of = (...inputs: Value[]) => b("concat", { inputs }, { axis: 0 });
    const negated = b("neg", { x: y });
    expect(attempt(root, of(x, negated)).bindings!.get(first)).toBe(x);
    expect(matches(root, of(negated, x))).toBe(false);
    expect(matches(root, of(x))).toBe(false);
    expect(matches(root, of(x, negated, x))).toBe(false);
  });
});

describe("the arguments of a commutative op", () => {
  test("match in both orders", () => {
    const { b, x, y } = fresh();
    const [a, c] = [p.any(), p.any()];
    const root = p("add", { a: p("exp", { x: a }), b: c });
    for (const value of [b("add", { a: b("exp", { x }), b: y }), b("add", { a: y, b: b("exp", { x }) })]) {
      const { bindings } = attempt(root, value);
      expect([bindings!.get(a), bindings!.get(c)]).toEqual([x, y]);
    }
    const ordered = p("sub", { a: p("exp", { x: a }), b: c });
    expect(matches(ordered, b("sub", { a: y, b: b("exp", { x }) }))).toBe(false);
  });

  test.each(["a", "b"] as const)("match either one when only %s is named", (name) => {
    const { b, x } = fresh();
    const two = p.scalar(2);
    const root = p("mul", { [name]: two });
    const number = constant(b, 2);
    for (const value of [b("mul", { a: x, b: number }), b("mul", { a: number, b: x })])
      expect(attempt(root, value).bindings?.get(two)).toBe(number);
    expect(matches(root, b("mul", { a: x, b: x }))).toBe(false);
  });

  test("are tried again when the first order leads nowhere further up", () => {
    const { b, x, y } = fresh();
    // x · (x + y), where the sum may be matched with y as its first term
    const a = p.any();
    const root = p("mul", { a: p("neg", { x: a }), b: p("add", { a, b: p.any() }) });
    const value = (sum: Value) => b("mul", { a: sum, b: b("neg", { x }) });
    expect(matches(root, value(b("add", { a: y, b: x })))).toBe(true);
    expect(matches(root, value(b("add", { a: x, b: y })))).toBe(true);
    expect(matches(root, value(b("add", { a: y, b: y })))).toBe(false);
  });

  test("match a choice made inside of one of them before the other is seen", () => {
    const { b, x, y } = fresh();
    const a = p.any();
    // The sum is matched first, and binds its first term; only the other one makes the root match.
    const root = p("sub", { a: p("add", { a, b: p.any() }), b: a });
    expect(matches(root, b("sub", { a: b("add", { a: y, b: x }), b: x }))).toBe(true);
  });
});

describe("either", () => {
  test("takes the first that matches", () => {
    const { b, x } = fresh();
    const [first, second] = [p("neg", {}), p("neg", { x: p.any() })];
    const { bindings } = attempt(p.either(p("exp", {}), first, second), b("neg", { x }));
    expect([bindings!.has(first), bindings!.has(second)]).toEqual([true, false]);
  });

  test("goes back to the next when what follows does not match", () => {
    const { b, x, y } = fresh();
    const a = p.any();
    const inner = p.either(p("sub", { a, b: p.any() }), p("sub", { a: p.any(), b: a }));
    const root = p("div", { a: inner, b: a });
    const value = b("div", { a: b("sub", { a: x, b: y }), b: y });
    expect(attempt(root, value).bindings?.get(a)).toBe(y);
    expect(attempt(root, b("div", { a: b("sub", { a: x, b: y }), b: x })).bindings?.get(a)).toBe(x);
    const other = b("exp", { x });
    expect(matches(root, b("div", { a: b("sub", { a: x, b: y }), b: other }))).toBe(false);
  });

  test("leaves nothing bound by an alternative that failed", () => {
    const { b, x, y } = fresh();
    const seen = p.any();
    const root = p.either(p("sub", { a: seen, b: p.constant() }), p("sub", { a: p.any(), b: p.any() }));
    const { bindings } = attempt(root, b("sub", { a: x, b: y }));
    expect(bindings!.has(seen)).toBe(false);
  });
});

test("a hole in two places is one value", () => {
  const { b, x, y } = fresh();
  const a = p.any();
  const root = p("sub", { a: p("exp", { x: a }), b: a });
  expect(matches(root, b("sub", { a: b("exp", { x }), b: x }))).toBe(true);
  const { bindings, reason, at } = attempt(root, b("sub", { a: b("exp", { x }), b: y }));
  expect([bindings, reason, at]).toEqual([undefined, "two places hold different values", y]);
});

describe("a constant", () => {
  test("is one of any size, not sizes or what is computed", () => {
    const { b, x } = fresh();
    const root = p("neg", { x: p.constant() });
    expect(matches(root, b("neg", { x: b.constant(inlineWeight(tensor("f32", [100]))) }))).toBe(true);
    expect(matches(root, b("neg", { x: b.dims([4]) }))).toBe(false);
    expect(matches(root, b("neg", { x }))).toBe(false);
  });

  test.each<[number, number, DType, boolean]>([
    [2, 2, "f32", true],
    [2, 2.1, "f32", false],
    [0, 0, "f32", true],
    [0, 1e-30, "f32", false],
    [Math.SQRT1_2, Math.fround(Math.SQRT1_2), "f32", true],
    [1e-5, 1e-5, "f16", true],
    [1e-5, 1e-5, "bf16", true],
    [Math.sqrt(2 / Math.PI), Math.sqrt(2 / Math.PI), "bf16", true],
    [127, 128, "f32", false],
    [-128, -127, "f32", false],
    [1, -1, "f32", false],
    [3, 3, "i64", true],
    [Infinity, Infinity, "f32", true],
    [-Infinity, -Infinity, "f32", true],
    [Infinity, -Infinity, "f32", false],
    [Infinity, 3e38, "f32", false],
    [1, Number.NaN, "f32", false],
  ])("number %d matches %d of %s: %s", (wanted, given, dtype, expected) => {
    const { b } = fresh();
    const value = b("abs", { x: constant(b, given, dtype) });
    expect(matches(p("abs", { x: p.scalar(wanted) }), value)).toBe(expected);
    expect(matches(p("abs", { x: p.scalar() }), value)).toBe(true);
  });

  test("number is the one element, known at compile time", () => {
    const { b, x } = fresh();
    expect(scalarOf(b.constant(inlineWeight(tensor("f32", [1, 1], [5]))))).toBe(5);
    expect(scalarOf(b.constant(inlineWeight(tensor("f32", [2], [5, 5]))))).toBeUndefined();
    expect(scalarOf(b.dims(7))).toBe(7);
    expect(scalarOf(b.dims([7]))).toBe(7);
    expect(scalarOf(b.dims([S]))).toBeUndefined();
    expect(scalarOf(b("add", { a: b.dims([3]), b: b.dims([4]) }))).toBe(7);
    expect([scalarOf(x), scalarOf(undefined)]).toEqual([undefined, undefined]);
  });
});

describe("attributes", () => {
  const { b, x } = fresh();
  const cut = b("slice", { x, starts: b.dims([0]), ends: b.dims([2]) }, { axes: [1], steps: [1] });
  const norm = b("nn.rms_norm", { x, scale: b.constant(inlineWeight(tensor("f32", [4]))) }, { eps: 1e-5 });
  type SliceAttrs = Parameters<typeof p<"slice">>[2];

  test.each<[string, SliceAttrs, boolean]>([
    ["none", {}, true],
    ["equal ones", { axes: [1], steps: [1] }, true],
    ["another list", { axes: [0] }, false],
    ["a longer list", { axes: [1, 1] }, false],
    ["a condition that holds", { axes: (axes) => axes.length === 1 }, true],
    ["a condition that does not", { steps: ([step]) => step! < 0 }, false],
    ["a condition on the node", { axes: (_, node) => node.args.x === x }, true],
  ])("%s", (_, attrs, expected) => {
    expect(matches(p("slice", { x: p.any() }, attrs), cut)).toBe(expected);
  });

  test("are compared as numbers, infinities and all", () => {
    expect(matches(p("nn.rms_norm", {}, { eps: 1e-5 }), norm)).toBe(true);
    const attrs = { scale: Infinity, causal: false, softcap: 0, window: 0 };
    const q = b.input("q", tensorType("f32", [1, 1, S, 4]));
    const sdpa = b("nn.sdpa", { q, k: q, v: q }, attrs);
    expect(matches(p("nn.sdpa", {}, { scale: Infinity }), sdpa)).toBe(true);
    for (const scale of [-Infinity, Number.NaN])
      expect(matches(p("nn.sdpa", {}, { scale }), sdpa)).toBe(false);
  });
});

describe("a near miss", () => {
  const { b, x, y } = fresh();
  const row = b("softmax", { x: b("mul", { a: b("exp", { x }), b: constant(b, 3) }) }, { axis: -1 });
  const miss = (root: (build: PatternBuilder) => Hole) => {
    const { bindings, matched, reason, at } = attempt(root(p), row);
    expect(bindings).toBeUndefined();
    return { matched, reason, at: at && describeValue(at) };
  };

  test.each<[string, (build: PatternBuilder) => Hole, number, string, string]>([
    [
      "an op",
      () => p("softmax", { x: p("mul", { a: p("abs", {}), b: p.scalar() }) }),
      2,
      "abs was expected, it is exp",
      "exp",
    ],
    [
      "an input",
      () => p("softmax", { x: p("mul", { a: p("exp", { x: p("neg", {}) }), b: p.any() }) }),
      3,
      "neg was expected, it is the input x",
      "the input x",
    ],
    [
      "a number",
      () => p("softmax", { x: p("mul", { a: p("exp", {}), b: p.scalar(2) }) }),
      3,
      "2 was expected, it is 3",
      "a const",
    ],
    ["an attribute", () => p("softmax", { x: p.any() }, { axis: 0 }), 0, "", ""],
    [
      "an attribute further in",
      () => p("softmax", { x: p("mul", { a: p("exp", {}), b: p.constant() }) }, { axis: (axis) => axis > 0 }),
      0,
      "",
      "",
    ],
  ])("tells of %s", (_, root, matched, reason, at) => {
    expect(miss(root)).toEqual({ matched, reason, at: at === "" ? undefined : at });
  });

  test("is the deepest of all that were tried", () => {
    const deep = p("mul", { a: p("exp", { x: p("neg", {}) }), b: p.any() });
    const shallow = p("mul", { a: p.constant(), b: p.constant() });
    for (const root of [p.either(deep, shallow), p.either(shallow, deep)])
      expect(miss(() => p("softmax", { x: root }))).toMatchObject({
        matched: 3,
        reason: "neg was expected, it is the input x",
      });
  });

  test("says what an argument or a list lacks", () => {
    const both = b("neg", { x: b("concat", { inputs: [x, y] }, { axis: 0 }) });
    const { reason } = attempt(p("neg", { x: p("concat", { inputs: [p.any()] }) }), both);
    expect(reason).toBe("concat has 2 inputs");
    const linear = b("neg", {
      x: b("nn.linear", { x, weight: b.constant(inlineWeight(tensor("f32", [2, 4]))) }),
    });
    expect(attempt(p("neg", { x: p("nn.linear", { bias: p.any() }) }), linear).reason).toBe(
      "nn.linear has no bias",
    );
  });
});

test("the size of a pattern counts its ops, each once, along the longest alternative", () => {
  const shared = p("exp", { x: p("neg", { x: p.any() }) });
  expect(patternSize(shared)).toBe(2);
  expect(patternSize(p("add", { a: shared, b: shared }))).toBe(3);
  expect(patternSize(p("concat", { inputs: [shared, p("abs", {})] }))).toBe(4);
  expect(patternSize(p.either(p("abs", { x: shared }), p("sin", { x: p("cos", { x: shared }) })))).toBe(4);
  expect(patternSize(p("mul", { a: p.scalar(2), b: p.constant() }))).toBe(1);
});
