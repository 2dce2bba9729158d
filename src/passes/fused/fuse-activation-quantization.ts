import type { Node, Value } from "../../ir/graph.ts";
import { castWeight, transposeWeight } from "../../ir/weights.ts";
import type { Hole, PatternBuilder } from "../pattern.ts";
import { type Match, type Miss, rewritePass, rule } from "../rule.ts";

/** Reduces the last axis and keeps it. */
export const overLastAxis = {
  keepdims: true,
  axes: (axes: readonly number[], node: Node) =>
    axes.length === 1 && (axes[0] === -1 || axes[0] === node.operands[0]!.type.shape.length - 1),
};

function checkFloor(m: Match<"floor">): Miss | undefined {
  const floor = m.scalar(m.floor)!;
  // 1e-5 in f16 is off by 0.14 %.
  return Math.abs(floor - 1e-5) > 1e-7
    ? m.no(`the absmax is clamped at ${floor}, not at 1e-5`, m.floor)
    : undefined;
}

/** max(absmax(x), floor) over the last axis. */
const clampedAbsmax = (p: PatternBuilder, x: Hole, floor: Hole): Hole =>
  p("maximum", { a: p("reduce_max", { x: p("abs", { x }) }, overLastAxis), b: floor });

/** s = 127 / absmax */
const scaleOf = (p: PatternBuilder, absmax: Hole): Hole =>
  p.either(
    p("mul", { a: p("reciprocal", { x: absmax }), b: p.scalar(127) }),
    p("div", { a: p.scalar(127), b: absmax }),
  );

/** 1/s = absmax / 127 */
const stepOf = (p: PatternBuilder, absmax: Hole): Hole =>
  p.either(p("div", { a: absmax, b: p.scalar(127) }), p("mul", { a: absmax, b: p.scalar(1 / 127) }));

const absmaxFromBothEnds = rule({
  name: "absmax-from-both-ends",
  doc: "max(max(x), -min(x)) → max|x|",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const largest = p("reduce_max", { x }, overLastAxis);
    const lowest = p("reduce_min", { x }, overLastAxis);
    return { root: p("maximum", { a: largest, b: p("neg", { x: lowest }) }), x, largest };
  },
  rewrite: (b, m) =>
    b("reduce_max", { x: b("abs", { x: m.x }) }, m.largest.node!.attrs as { axes: number[]; keepdims: true }),
});

/**
 * Only the rounding decides: the codes lie within ±127 by themselves, so that a clamp behind, to -128 or to
 * -127, changes nothing.
 */
const quantize = rule({
  name: "activation-quantization",
  doc: "s = 127 / max(absmax(x), 1e-5); round(x · s) → bitnet.quantize (BitNet b1.58, arXiv 2402.17764 §2)",
  pattern(p) {
    const [x, floor] = [p.any(), p.scalar()];
    const absmax = clampedAbsmax(p, x, floor);
    const step = stepOf(p, absmax);
    const ratio = p.either(
      p("div", { a: x, b: absmax }),
      p("mul", { a: x, b: p("reciprocal", { x: absmax }) }),
    );
    const scaled = p.either(
      p("mul", { a: x, b: scaleOf(p, absmax) }),
      p("div", { a: x, b: step }),
      p("mul", { a: x, b: p("reciprocal", { x: step }) }),
      p("mul", { a: ratio, b: p.scalar(127) }),
    );
    return { root: p("round", { x: scaled }), x, floor };
  },
  check: checkFloor,
  rewrite: (b, m) => b("bitnet.quantize", { x: m.x }),
});

/** The codes and the scale of a tensor that is quantised, if it is. */
const quantized = (x: Value): readonly Value[] | undefined =>
  [...x.users].find(({ op }) => op === "bitnet.quantize")?.results;

const activationScale = rule({
  name: "activation-scale",
  doc: "127 / max(absmax(x), 1e-5) beside a bitnet.quantize of x → its scale",
  quiet: true,
  pattern(p) {
    const [x, floor] = [p.any(), p.scalar()];
    return { root: scaleOf(p, clampedAbsmax(p, x, floor)), x, floor };
  },
  check: checkFloor,
  rewrite: (_, m) => quantized(m.x)?.[1],
});

const activationStep = rule({
  name: "activation-step",
  doc: "max(absmax(x), 1e-5) / 127 beside a bitnet.quantize of x → 1 / its scale",
  quiet: true,
  pattern(p) {
    const [x, floor] = [p.any(), p.scalar()];
    return { root: stepOf(p, clampedAbsmax(p, x, floor)), x, floor };
  },
  check: checkFloor,
  rewrite(b, m) {
    const scale = quantized(m.x)?.[1];
    return scale && b("reciprocal", { x: scale });
  },
});

const clampOfCodes = (["maximum", "minimum"] as const).map((op) =>
  rule({
    name: `${op}-of-codes`,
    doc: "A clamp of int8 codes to int8 changes nothing.",
    quiet: true,
    pattern(p) {
      const [codes, bound] = [p("bitnet.quantize", {}), p.scalar()];
      return { root: p(op, { a: codes, b: bound }), codes, bound };
    },
    rewrite(_, m) {
      const bound = m.scalar(m.bound)!;
      return (op === "maximum" ? bound <= -127 : bound >= 127) ? m.codes : undefined;
    },
  }),
);

/** Codes fit int8, so storing them as int8 in between changes nothing. */
const castThroughInt8 = rule({
  name: "codes-through-int8",
  doc: "int8 codes cast to int8 and back are the same codes.",
  quiet: true,
  pattern(p) {
    const codes = p("bitnet.quantize", {});
    return { root: p("cast", { x: p("cast", { x: codes }, { to: "i8" }) }, { to: "f32" }), codes };
  },
  rewrite: (_, m) => m.codes,
});

/** Sums of codes times int8 weights are integers that f32 holds for every K below 1024, and f64 for any. */
const integerProduct = rule({
  name: "integer-product-of-codes",
  doc: "int8 codes times a constant matrix of integers, in i32, then cast to f32 → nn.linear of the codes",
  quiet: true,
  pattern(p) {
    const [codes, weight] = [p("bitnet.quantize", {}), p.constant()];
    const integers = p("cast", { x: p("cast", { x: codes }, { to: "i8" }) }, { to: "i32" });
    return { root: p("cast", { x: p("matmul", { a: integers, b: weight }) }, { to: "f32" }), codes, weight };
  },
  rewrite(b, m) {
    if (m.weight.def.kind !== "const" || m.weight.type.shape.length !== 2) return undefined;
    const weight = transposeWeight(castWeight(m.weight.def.data, "f32"));
    return b("nn.linear", { x: m.codes, weight: b.constant(weight) });
  },
});

export const fuseActivationQuantization = rewritePass(
  "fuse-activation-quantization",
  "Recognises the per-token int8 quantisation in front of BitNet's linears.",
  [
    absmaxFromBothEnds,
    quantize,
    activationScale,
    activationStep,
    ...clampOfCodes,
    castThroughInt8,
    integerProduct,
  ],
);
