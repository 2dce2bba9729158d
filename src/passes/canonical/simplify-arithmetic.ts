import { sameValueType } from "../../ir/graph.ts";
import { isFloat, isInteger } from "../../tensor/dtype.ts";
import { scalarOf } from "../pattern.ts";
import { rewritePass, rule } from "../rule.ts";

/** The number with which an op leaves its first argument as it is. A bound that is not there is an infinite one. */
const neutral = {
  ...{ add: 0, sub: 0, mul: 1, div: 1, pow: 1 },
  ...{ maximum: -Infinity, minimum: Infinity },
  ...{ and: 1, or: 0 },
} as const;

/** `x op neutral` is x, where broadcasting changes nothing. */
const identities = (Object.keys(neutral) as (keyof typeof neutral)[]).map((op) =>
  rule({
    name: `${op}-identity`,
    doc: `x ${op} ${neutral[op]} → x`,
    quiet: true,
    pattern(p) {
      const [x, c] = [p.any(), p.scalar()];
      return { root: p(op, { a: x, b: c }), x, c };
    },
    rewrite: (_, m) => (m.scalar(m.c) === neutral[op] && sameValueType(m.x, m.root) ? m.x : undefined),
  }),
);

const constantLast = (["add", "mul", "maximum", "minimum"] as const).map((op) =>
  rule({
    name: `${op}-constant-last`,
    doc: "A constant argument of a commutative op comes second.",
    quiet: true,
    pattern(p) {
      const a = p.any();
      const b = p.any();
      return { root: p(op, { a, b }), a, b };
    },
    rewrite(b, m) {
      const [first, second] = [m.root.node!.arg("a"), m.root.node!.arg("b")];
      return first.def.kind === "const" && second.def.kind !== "const"
        ? b(op, { a: second, b: first })
        : undefined;
    },
  }),
);

const powers = rule({
  name: "power-of-constant",
  doc: "x^2 → x·x, x^0.5 → √x, x^-0.5 → 1/√x, x^-1 → 1/x",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const c = p.scalar();
    return { root: p("pow", { a: x, b: c }), x, c };
  },
  rewrite(b, m) {
    if (!isFloat(m.x.type.dtype) || m.root.type.shape.length !== m.x.type.shape.length) return undefined;
    switch (m.scalar(m.c)) {
      case 2:
        return b("mul", { a: m.x, b: m.x });
      case 3:
        return b("mul", { a: b("mul", { a: m.x, b: m.x }), b: m.x });
      case 0.5:
        return b("sqrt", { x: m.x });
      case -0.5:
        return b("rsqrt", { x: m.x });
      case -1:
        return b("reciprocal", { x: m.x });
      default:
        return undefined;
    }
  },
});

const oneOver = rule({
  name: "one-over",
  doc: "1 / x → reciprocal(x)",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const one = p.scalar(1);
    return { root: p("div", { a: one, b: x }), x, one };
  },
  rewrite: (b, m) =>
    isFloat(m.x.type.dtype) && m.scalar(m.one) === 1 && sameValueType(m.x, m.root)
      ? b("reciprocal", { x: m.x })
      : undefined,
});

const reciprocalOfRoot = rule({
  name: "reciprocal-of-root",
  doc: "1 / √x → rsqrt(x)",
  quiet: true,
  pattern(p) {
    const x = p.any();
    return { root: p("reciprocal", { x: p("sqrt", { x }) }), x };
  },
  rewrite: (b, m) => b("rsqrt", { x: m.x }),
});

const divisionByRoot = rule({
  name: "division-by-root",
  doc: "a / √x → a · rsqrt(x)",
  quiet: true,
  pattern(p) {
    const a = p.any();
    const x = p.any();
    return { root: p("div", { a, b: p("sqrt", { x }) }), a, x };
  },
  rewrite: (b, m) =>
    scalarOf(m.a) === undefined ? b("mul", { a: m.a, b: b("rsqrt", { x: m.x }) }) : undefined,
});

const clampAtZero = rule({
  name: "clamp-at-zero",
  doc: "max(x, 0) → relu(x)",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const zero = p.scalar();
    return { root: p("maximum", { a: x, b: zero }), x, zero };
  },
  rewrite: (b, m) =>
    m.scalar(m.zero) === 0 && isFloat(m.x.type.dtype) && sameValueType(m.x, m.root)
      ? b("relu", { x: m.x })
      : undefined,
});

const knownCondition = rule({
  name: "known-condition",
  doc: "where(true, a, b) → a, where(false, a, b) → b",
  quiet: true,
  pattern(p) {
    const [c, a, b] = [p.scalar(), p.any(), p.any()];
    return { root: p("where", { condition: c, a, b }), c, a, b };
  },
  rewrite(_, m) {
    const taken = m.scalar(m.c) === 0 ? m.b : m.a;
    return sameValueType(taken, m.root) ? taken : undefined;
  },
});

const doubleNot = rule({
  name: "double-not",
  doc: "not(not(x)) → x",
  quiet: true,
  pattern(p) {
    const x = p.any();
    return { root: p("not", { x: p("not", { x }) }), x };
  },
  rewrite: (_, m) => m.x,
});

const castOfSame = rule({
  name: "cast-to-same",
  doc: "A cast to the type that a value already has is nothing.",
  quiet: true,
  pattern(p) {
    const x = p.any();
    return { root: p("cast", { x }), x };
  },
  rewrite: (_, m) => (m.x.type.dtype === m.root.type.dtype ? m.x : undefined),
});

/** Row numbers fit any type that an exporter holds them in. */
const castOfIndices = rule({
  name: "cast-of-indices",
  doc: "nn.embedding(table, cast(ids)) → nn.embedding(table, ids)",
  quiet: true,
  pattern(p) {
    const [table, ids] = [p.any(), p.any()];
    return { root: p("nn.embedding", { table, ids: p("cast", { x: ids }) }), table, ids };
  },
  rewrite: (b, m) =>
    isInteger(m.ids.type.dtype) ? b("nn.embedding", { table: m.table, ids: m.ids }) : undefined,
});

const swapped = { greater: "less", greater_equal: "less_equal" } as const;
const comparisonDirection = (Object.keys(swapped) as (keyof typeof swapped)[]).map((op) =>
  rule({
    name: `${op}-to-${swapped[op]}`,
    doc: "Comparisons point one way.",
    quiet: true,
    pattern(p) {
      const [a, b] = [p.any(), p.any()];
      return { root: p(op, { a, b }), a, b };
    },
    rewrite: (b, m) => b(swapped[op], { a: m.b, b: m.a }),
  }),
);

const meanFromSum = rule({
  name: "mean-from-sum",
  doc: "sum(x) / n over the last axis → mean(x)",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const sum = p("reduce_sum", { x }, { keepdims: true });
    const n = p.scalar();
    return { root: p.either(p("div", { a: sum, b: n }), p("mul", { a: sum, b: n })), x, sum, n };
  },
  rewrite(b, m) {
    const axes = m.sum.node!.attrs.axes as readonly number[];
    const count = axes.reduce<number>((product, axis) => {
      const dim = m.x.type.shape.at(axis);
      return typeof dim === "number" ? product * dim : Number.NaN;
    }, 1);
    const divisor = m.root.node!.op === "div" ? m.scalar(m.n)! : 1 / m.scalar(m.n)!;
    if (!isFloat(m.x.type.dtype) || Math.abs(divisor - count) > count * 1e-6) return undefined;
    return b("reduce_mean", { x: m.x }, { axes, keepdims: true });
  },
});

export const simplifyArithmetic = rewritePass(
  "simplify-arithmetic",
  "Brings arithmetic to one spelling and drops what does nothing.",
  [
    ...identities,
    ...constantLast,
    powers,
    oneOver,
    reciprocalOfRoot,
    divisionByRoot,
    clampAtZero,
    knownCondition,
    doubleNot,
    castOfSame,
    castOfIndices,
    ...comparisonDirection,
    meanFromSum,
  ],
);
