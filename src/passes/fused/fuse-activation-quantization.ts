import type { Node, Value } from "../../ir/graph.ts";
import type { Hole, PatternBuilder } from "../pattern.ts";
import { type Match, type Miss, rewritePass, rule } from "../rule.ts";

/** Reduces the last axis and keeps it. */
export const overLastAxis = {
  keepdims: true,
  axes: (axes: readonly number[], node: Node) =>
    axes.length === 1 && (axes[0] === -1 || axes[0] === node.operands[0]!.type.shape.length - 1),
};

/** -127 instead of -128 is the same clamp: |x · s| never rounds to more than 127. */
const clampedToInt8 = (p: PatternBuilder, rounded: Hole): Hole => {
  const low = p.either(p.scalar(-128), p.scalar(-127));
  return p.either(
    p("minimum", { a: p("maximum", { a: rounded, b: low }), b: p.scalar(127) }),
    p("maximum", { a: p("minimum", { a: rounded, b: p.scalar(127) }), b: low }),
  );
};

function checkFloor(m: Match<"floor">): Miss | undefined {
  const floor = m.scalar(m.floor)!;
  // 1e-5 in f16 is off by 0.14 %.
  return Math.abs(floor - 1e-5) > 1e-7
    ? m.no(`the absmax is clamped at ${floor}, not at 1e-5`, m.floor)
    : undefined;
}

const quantize = rule<"x" | "scale" | "floor">({
  name: "activation-quantization",
  doc: "s = 127 / max(absmax(x), 1e-5); clamp(round(x · s), -128, 127) → bitnet.quantize (BitNet b1.58, arXiv 2402.17764 §2)",
  pattern(p) {
    const x = p.any();
    const floor = p.scalar();
    const absmax = p("maximum", { a: p("reduce_max", { x: p("abs", { x }) }, overLastAxis), b: floor });
    const scale = p.either(
      p("mul", { a: p("reciprocal", { x: absmax }), b: p.scalar(127) }),
      p("div", { a: p.scalar(127), b: absmax }),
    );
    const rounded = p("round", { x: p("mul", { a: x, b: scale }) });
    return { root: clampedToInt8(p, rounded), x, scale, floor };
  },
  check: checkFloor,
  rewrite(b, m) {
    const [codes, scale] = b.all("bitnet.quantize", { x: m.x }) as readonly [Value, Value];
    b.replace(m.scale, scale);
    return codes;
  },
});

/** The same with the step size 1/s = absmax / 127 in the graph: x / step instead of x · s. */
const quantizeByStep = rule<"x" | "step" | "floor">({
  name: "activation-quantization-by-step",
  doc: "step = max(absmax(x), 1e-5) / 127; clamp(round(x / step), -128, 127) → bitnet.quantize",
  pattern(p) {
    const x = p.any();
    const floor = p.scalar();
    const absmax = p("maximum", { a: p("reduce_max", { x: p("abs", { x }) }, overLastAxis), b: floor });
    const step = p.either(
      p("div", { a: absmax, b: p.scalar(127) }),
      p("mul", { a: absmax, b: p.scalar(1 / 127) }),
    );
    const rounded = p("round", {
      x: p.either(p("div", { a: x, b: step }), p("mul", { a: x, b: p("reciprocal", { x: step }) })),
    });
    return { root: clampedToInt8(p, rounded), x, step, floor };
  },
  check: checkFloor,
  rewrite(b, m) {
    const [codes, scale] = b.all("bitnet.quantize", { x: m.x }) as readonly [Value, Value];
    b.replace(m.step, b("reciprocal", { x: scale }));
    return codes;
  },
});

/** Codes fit int8, so storing them as int8 in between changes nothing. */
const castThroughInt8 = rule<"codes">({
  name: "codes-through-int8",
  doc: "int8 codes cast to int8 and back are the same codes.",
  quiet: true,
  pattern(p) {
    const codes = p("bitnet.quantize", {});
    return { root: p("cast", { x: p("cast", { x: codes }, { to: "i8" }) }, { to: "f32" }), codes };
  },
  rewrite: (_, m) => m.codes,
});

export const fuseActivationQuantization = rewritePass(
  "fuse-activation-quantization",
  "Recognises the per-token int8 quantisation in front of BitNet's linears.",
  [quantize, quantizeByStep, castThroughInt8],
);
