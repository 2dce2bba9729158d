import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { tensorType } from "../../src/ir/type.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { inlineWeight } from "../../src/ir/weights.ts";
import { parseOptions } from "../../src/options.ts";
import type { PassContext } from "../../src/passes/pass.ts";
import type { Hole, PatternBuilder } from "../../src/passes/pattern.ts";
import { applyRules, type Rule, rewritePass, rule } from "../../src/passes/rule.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const S = symbol("S", 64, 1);

function model(make: (b: Builder, x: Value) => Value): Graph {
  const graph = new Graph(coreOps);
  const b = graph.edit("import");
  b.output("y", make(b.at("onnx:/node"), b.input("x", tensorType("f32", [1, S, 4]))));
  return graph;
}
const context = (): PassContext => ({
  options: parseOptions({}),
  info: { frontend: "onnx", eosIds: [] },
  report: () => {},
  metric: () => {},
  rules: new Map(),
  placed: {},
  lowerings: [],
});
const opsOf = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);

/** Applies rules, checks the graph, and returns what they did. */
async function run(graph: Graph, ...rules: Rule[]) {
  const on = context();
  await applyRules(graph, rules, on);
  expect(verifyGraph(graph)).toEqual([]);
  return Object.fromEntries(on.rules);
}

/** outer(inner(x)) → x */
const cancel = (name: string, outer: "exp" | "neg", inner: "log" | "neg"): Rule =>
  rule({
    name,
    doc: `${outer}(${inner}(x)) → x`,
    pattern(p) {
      const x = p.any();
      return { root: p(outer, { x: p(inner, { x }) }), x };
    },
    rewrite: (_, m) => m.x,
  });
const noDoubleNegation = cancel("no-double-negation", "neg", "neg");
const noExpOfLog = cancel("no-exp-of-log", "exp", "log");

const chain = (b: Builder, x: Value, ...ops: ("neg" | "exp" | "log" | "abs")[]): Value =>
  ops.reduce((value, op) => b(op, { x: value }), x);

describe("rules", () => {
  test("are applied until none applies", async () => {
    // each pair only meets when the pair inside of it is gone
    const graph = model((b, x) => chain(b, x, "neg", "log", "neg", "neg", "exp", "neg", "abs"));
    const reports = await run(graph, noDoubleNegation, noExpOfLog);
    expect(opsOf(graph)).toEqual(["abs"]);
    expect(reports["no-double-negation"]).toEqual({ matched: 2, misses: [] });
    expect(reports["no-exp-of-log"]).toEqual({ matched: 1, misses: [] });
  });

  test("replace outputs, all uses, and nothing else", async () => {
    const graph = model((b, x) => {
      const inner = b("neg", { x });
      return b("add", { a: b("neg", { x: inner }), b: inner });
    });
    await run(graph, noDoubleNegation);
    expect(opsOf(graph)).toEqual(["neg", "add"]);
    expect(graph.nodes[1]!.arg("a")).toBe(graph.inputs[0]);
  });

  test("are tried in their order, one a node", async () => {
    const to = (name: string, op: "abs" | "sign") =>
      rule({
        name,
        doc: `neg → ${op}`,
        pattern: (p) => ({ root: p("neg", {}) }),
        rewrite: (b, m) => b(op, { x: m.root.node!.arg("x") }),
      });
    const graph = model((b, x) => chain(b, x, "neg"));
    const reports = await run(graph, to("first", "sign"), to("second", "abs"));
    expect(opsOf(graph)).toEqual(["sign"]);
    expect(Object.keys(reports)).toEqual(["first"]);
  });

  test("leave their name where they built something", async () => {
    const graph = model((b, x) => chain(b, x, "neg"));
    const twoSteps = rule({
      name: "two-steps",
      doc: "neg → log(exp(x))",
      pattern: (p) => ({ root: p("neg", {}) }),
      rewrite: (b, m) => b("log", { x: b("exp", { x: m.root.node!.arg("x") }) }),
    });
    await run(graph, twoSteps);
    expect(graph.nodes.map(({ loc }) => loc)).toEqual([
      { source: "onnx:/node", by: ["two-steps"] },
      { source: "onnx:/node", by: ["two-steps"] },
    ]);
  });

  test("get the holes by name, and the elements of constants", async () => {
    const seen: unknown[] = [];
    const look = rule({
      name: "look",
      doc: "looks",
      pattern(p) {
        const [x, factor, absent] = [p.optional(p.any()), p.optional(p.scalar()), p.optional(p.any())];
        return { root: p.either(p("mul", { a: x, b: factor }), p("mul", { a: absent })), x, factor, absent };
      },
      rewrite(_, m) {
        seen.push(m.root.node?.op, m.x?.def.kind, m.factor && m.scalar(m.factor), m.absent);
        return undefined;
      },
    });
    const graph = model((b, x) => b("mul", { a: b.constant(inlineWeight(tensor("f32", [], [5]))), b: x }));
    await run(graph, look);
    expect(seen).toEqual(["mul", "input", 5, undefined]);
  });

  test("of a pass are what the pass applies", async () => {
    const pass = rewritePass("tidy", "Tidies.", [noDoubleNegation]);
    expect(pass.rules).toEqual([noDoubleNegation]);
    const graph = model((b, x) => chain(b, x, "neg", "neg", "abs"));
    await pass.run(graph, context());
    expect(opsOf(graph)).toEqual(["abs"]);
  });

  test("must have an op at their root", () => {
    const rootless = () =>
      rule({ name: "rootless", doc: "", pattern: (p) => ({ root: p.any() }), rewrite: () => undefined });
    expect(rootless).toThrow("the root of the rule rootless is no op");
  });

  test("say which holes may stand for nothing", () => {
    const withHole = (pick: (p: PatternBuilder, x: Hole, y: Hole) => Hole) => () =>
      rule({
        name: "unsure",
        doc: "",
        pattern(p) {
          const [x, y] = [p.any(), p.any()];
          return { root: p("add", { a: x, b: pick(p, x, y) }), x, y };
        },
        rewrite: (_, m) => m.y,
      });
    const fault = "the hole y of the rule unsure can stand for nothing: it is optional";
    expect(withHole((p, x, y) => p.either(p("neg", { x: y }), x))).toThrow(fault);
    expect(withHole((_, x) => x)).toThrow(fault);
    const inEach = withHole((p, x, y) => p.either(p("neg", { x: y }), p("mul", { a: x, b: y }), y));
    expect(inEach().holes).toHaveProperty("y");
    expect(withHole((p, x, y) => p("concat", { inputs: [x, y] }))().holes).toHaveProperty("y");
  });

  // What could fail here is the type check of the tests.
  test("are typed by their patterns", () => {
    const typed = rule({
      name: "typed",
      doc: "",
      pattern(p) {
        const [x, y] = [p.any(), p.optional(p.any())];
        return { root: p.either(p("neg", { x }), p("add", { a: x, b: y })), x, y };
      },
      rewrite(b, m) {
        // @ts-expect-error y may be missing
        b("neg", { x: m.y });
        // @ts-expect-error there is no hole z
        b("neg", { x: m.z });
        return m.x;
      },
    });
    expect(Object.keys(typed.holes)).toEqual(["root", "x", "y"]);
  });
});

describe("a rule that declines", () => {
  const declining = (quiet: boolean, at: "root" | "x" | undefined) =>
    rule({
      name: "declining",
      doc: "declines",
      quiet,
      pattern(p) {
        const x = p("neg", {});
        return { root: p("exp", { x }), x };
      },
      check: async (m) => m.no("the moon is full", at && m[at]),
      rewrite: () => expect.unreachable(),
    });
  const graph = () => model((b, x) => b.at("onnx:/Exp")("exp", { x: b.at("onnx:/Neg")("neg", { x }) }));

  test.each([
    [undefined, "onnx:/Exp"],
    ["root", "onnx:/Exp"],
    ["x", "onnx:/Neg"],
  ] as const)("at %s leaves its sentence with the place %s", async (at, place) => {
    const reports = await run(graph(), declining(false, at));
    expect(reports).toEqual({
      declining: { matched: 0, misses: [{ why: "the moon is full", at: place }] },
    });
  });

  test("quietly leaves none", async () => {
    expect(await run(graph(), declining(true, undefined))).toEqual({});
  });

  test("is heard once, however often it was asked", async () => {
    const more = model((b, x) =>
      b("add", { a: chain(b, x, "neg", "exp"), b: chain(b, x, "neg", "neg", "abs") }),
    );
    const reports = await run(more, declining(false, undefined), noDoubleNegation);
    expect(reports.declining!.misses.length).toBe(1);
  });

  test("is not heard of a node that another rule replaced after all", async () => {
    const first = model((b, x) => chain(b, x, "neg", "log", "neg", "exp"));
    const declineExp = rule({
      name: "declining",
      doc: "declines",
      pattern: (p) => ({ root: p("exp", {}) }),
      rewrite: (_, m) => m.no("not this one"),
    });
    const dropNeg = rule({
      name: "drop",
      doc: "exp(neg(x)) → x",
      pattern(p) {
        const x = p.any();
        return { root: p("exp", { x: p("neg", { x }) }), x };
      },
      rewrite: (_, m) => m.x,
    });
    const reports = await run(first, declineExp, dropNeg);
    expect(opsOf(first)).toEqual(["neg", "log"]);
    expect(Object.keys(reports)).toEqual(["drop"]);
  });

  test("is heard 64 times at most", async () => {
    const many = model((b, x) =>
      Array.from({ length: 100 }, () => chain(b, x, "neg", "exp")).reduce((a, c) => b("add", { a, b: c })),
    );
    const reports = await run(many, declining(false, undefined));
    expect(reports.declining!.misses.length).toBe(64);
  });

  test("because its result does not fit says what inference says", async () => {
    const unfit = rule({
      name: "unfit",
      doc: "neg → matmul",
      pattern(p) {
        const x = p.any();
        return { root: p("neg", { x }), x };
      },
      rewrite: (b, m) =>
        b(
          "concat",
          { inputs: [m.x, b("reduce_sum", { x: m.x }, { axes: [0], keepdims: false })] },
          { axis: 0 },
        ),
    });
    const reports = await run(
      model((b, x) => chain(b, x, "neg")),
      unfit,
    );
    expect(reports.unfit!.misses).toEqual([
      {
        why: "concat(inputs: f32[1, S, 4], f32[S, 4]): inputs must be of one rank",
        at: "onnx:/node",
      },
    ]);
  });

  test("with an error that is none of inference fails", async () => {
    const faulty = rule({
      name: "faulty",
      doc: "",
      pattern: (p) => ({ root: p("neg", {}) }),
      rewrite: () => {
        throw new TypeError("oh");
      },
    });
    await expect(
      run(
        model((b, x) => chain(b, x, "neg")),
        faulty,
      ),
    ).rejects.toThrow(TypeError);
  });

  test("after building something leaves no users behind for the next rule", async () => {
    const builder = (decline: (b: Builder, x: Value) => undefined) =>
      rule({
        name: "builder",
        doc: "builds in vain",
        quiet: true,
        pattern(p) {
          const x = p.any();
          return { root: p("neg", { x }), x };
        },
        rewrite: (b, m) => decline(b, m.x),
      });
    const onlyUser = rule({
      name: "only-user",
      doc: "neg(exp(x)) → abs(x), where nothing else takes exp(x)",
      pattern(p) {
        const x = p("exp", {});
        return { root: p("neg", { x }), x };
      },
      rewrite: (b, m) => (m.x.users.size === 1 ? b("abs", { x: m.x.node!.arg("x") }) : undefined),
    });
    const declines = [
      (b: Builder, x: Value) => void b("sin", { x }),
      (b: Builder, x: Value) => void b("concat", { inputs: [b("sin", { x }), b.dims([1])] }, { axis: 0 }),
    ];
    for (const decline of declines) {
      const built = model((b, x) => chain(b, x, "exp", "neg"));
      await run(built, builder(decline), onlyUser);
      expect(opsOf(built)).toEqual(["abs"]);
    }
  });
});

describe("a pattern that nearly matches", () => {
  const deep = (quiet = false) =>
    rule({
      name: "deep",
      doc: "a chain of five",
      quiet,
      pattern: (p) => ({
        root: p("exp", { x: p("abs", { x: p("neg", { x: p("log", { x: p("sign", { x: p.any() }) }) }) }) }),
      }),
      rewrite: (_, m) => m.root.node!.arg("x"),
    });

  test("leaves a sentence with the place where it ends", async () => {
    const graph = model((b, x) =>
      b("exp", { x: b("abs", { x: b("neg", { x: b.at("onnx:/Sin")("sin", { x }) }) }) }),
    );
    expect(await run(graph, deep())).toEqual({
      deep: { matched: 0, misses: [{ why: "log was expected, it is sin", at: "onnx:/Sin" }] },
    });
    expect(await run(graph, deep(true))).toEqual({});
  });

  test("is none when less than half of it is there", async () => {
    const graph = model((b, x) => chain(b, x, "abs", "exp"));
    expect(await run(graph, deep())).toEqual({});
  });
});

describe("rules come to rest", () => {
  const rebuild = (rewrite: (b: Builder, root: Value) => Value): Rule =>
    rule({
      name: "again",
      doc: "builds what is there",
      pattern: (p) => ({ root: p("reduce_sum", {}) }),
      rewrite: (b, m) => rewrite(b, m.root),
    });
  const sum = () => model((b, x) => b("reduce_sum", { x }, { axes: [1], keepdims: true }));

  test.each<[string, (b: Builder, root: Value) => Value]>([
    ["the root itself", (_, root) => root],
    [
      "the same node anew",
      (b, root) => b("reduce_sum", { x: root.node!.arg("x") }, { axes: [1], keepdims: true }),
    ],
  ])("when they return %s", async (_, rewrite) => {
    const graph = sum();
    const before = graph.outputs[0]!.value;
    expect(await run(graph, rebuild(rewrite))).toEqual({});
    expect(graph.outputs[0]!.value).toBe(before);
    expect(graph.inputs[0]!.users.size).toBe(1);
  });

  test("when they change a node for good", async () => {
    const graph = sum();
    const flip = rebuild((b, root) =>
      b("reduce_sum", { x: root.node!.arg("x") }, { axes: [-2], keepdims: true }),
    );
    const reports = await run(graph, flip);
    expect(reports.again!.matched).toBe(1);
    expect(graph.nodes[0]!.attrs.axes).toEqual([-2]);
  });

  test("when they replace a write to a state", async () => {
    const graph = new Graph(coreOps);
    const b = graph.edit("import");
    const rows = b.input("rows", tensorType("f32", [1, 1, S, 2]));
    const start_pos = b.input("start_pos", tensorType("i64", [1]));
    const cache = b.state("cache", tensorType("f32", [1, 1, 64, 2]));
    b.output("y", b("neg", { x: b("kv.update", { cache, new: b("neg", { x: rows }), start_pos }) }));
    const absolute = rule({
      name: "absolute",
      doc: "kv.update(neg(x)) → kv.update(abs(x))",
      pattern(p) {
        const x = p.any();
        return { root: p("kv.update", { new: p("neg", { x }) }), x };
      },
      rewrite: (build, m) => build("kv.update", { cache, new: build("abs", { x: m.x }), start_pos }),
    });
    const reports = await run(graph, absolute);
    expect(reports.absolute!.matched).toBe(1);
    expect(opsOf(graph)).toEqual(["abs", "kv.update", "neg"]);
  });

  test("or are told to, where they undo one another", async () => {
    const swap = (name: string, from: "neg" | "abs", to: "neg" | "abs") =>
      rule({
        name,
        doc: `${from} → ${to}`,
        pattern(p) {
          const x = p.any();
          return { root: p(from, { x }), x };
        },
        rewrite: (b, m) => b(to, { x: m.x }),
      });
    const graph = model((b, x) => chain(b, x, "neg"));
    const endless = applyRules(graph, [swap("there", "neg", "abs"), swap("back", "abs", "neg")], context());
    await expect(endless).rejects.toThrow(BitnetcError);
  });
});
