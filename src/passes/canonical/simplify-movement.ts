import { sameValueType, type Value } from "../../ir/graph.ts";
import { reshapeTo } from "../../ir/shorthand.ts";
import { sameShape } from "../../ir/type.ts";
import { type Dim, sameDim, unboundedDim } from "../../tensor/dim.ts";
import { rewritePass, rule } from "../rule.ts";

/** Which axis of its argument each axis of a transpose is. */
export const perm = (value: Value): readonly number[] => value.node!.attrs.perm as readonly number[];

/** An op that returns its argument when its result has the argument's type. */
const noOp = (op: "reshape" | "expand" | "slice" | "pad" | "tile") =>
  rule({
    name: `no-op-${op}`,
    doc: `A ${op} that changes nothing is nothing.`,
    quiet: true,
    pattern(p) {
      const x = p.any();
      return { root: p(op, { x }), x };
    },
    rewrite(_, m) {
      if (!sameValueType(m.x, m.root)) return undefined;
      const steps = m.root.node!.attrs.steps as readonly number[] | undefined;
      return steps?.some((step) => step < 0) ? undefined : m.x;
    },
  });

/** Exporters write "to the end" as the largest integer they have. */
const boundedSlice = rule({
  name: "bounded-slice",
  doc: "A slice that ends beyond the axis ends with it.",
  quiet: true,
  pattern(p) {
    const [x, starts, ends] = [p.any(), p.any(), p.any()];
    return { root: p("slice", { x, starts, ends }), x, starts, ends };
  },
  rewrite(b, m) {
    const { axes, steps } = m.root.node!.attrs as { axes: readonly number[]; steps: readonly number[] };
    const isBeyond = (end: Dim, i: number) => typeof end === "number" && end > unboundedDim && steps[i]! > 0;
    if (!m.ends.contents?.some(isBeyond)) return undefined;
    const ends = m.ends.contents.map((end, i) => (isBeyond(end, i) ? m.x.type.shape.at(axes[i]!)! : end));
    return b("slice", { x: m.x, starts: m.starts, ends: b.dims(ends) }, { axes, steps });
  },
});

const reshapeOfReshape = rule({
  name: "reshape-of-reshape",
  doc: "Only the last of two reshapes counts.",
  quiet: true,
  pattern(p) {
    const x = p.any();
    return { root: p("reshape", { x: p("reshape", { x }) }), x };
  },
  rewrite: (b, m) => reshapeTo(b, m.x, m.root.type.shape),
});

const transposeOfTranspose = rule({
  name: "transpose-of-transpose",
  doc: "Two transposes are one.",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const inner = p("transpose", { x });
    return { root: p("transpose", { x: inner }), x, inner };
  },
  rewrite: (b, m) => b("transpose", { x: m.x }, { perm: perm(m.root).map((axis) => perm(m.inner)[axis]!) }),
});

const noOpTranspose = rule({
  name: "no-op-transpose",
  doc: "A transpose that moves no axis is nothing; one that moves only axes of size 1 is a reshape.",
  quiet: true,
  pattern(p) {
    const x = p.any();
    return { root: p("transpose", { x }), x };
  },
  rewrite(b, m) {
    const moved = perm(m.root).filter((axis) => m.x.type.shape[axis] !== 1);
    if (moved.some((axis, i) => i > 0 && axis < moved[i - 1]!)) return undefined;
    return perm(m.root).every((axis, i) => axis === i) ? m.x : reshapeTo(b, m.x, m.root.type.shape);
  },
});

const tileOfOnes = rule({
  name: "tile-of-ones",
  doc: "A tile along axes of size 1 only is an expand.",
  quiet: true,
  pattern(p) {
    const [x, repeats] = [p.any(), p.any()];
    return { root: p("tile", { x, repeats }), x, repeats };
  },
  rewrite(b, m) {
    const { shape } = m.x.type;
    const isExpand = m.repeats.contents?.every((count, axis) => count === 1 || shape[axis] === 1);
    return isExpand ? b("expand", { x: m.x, shape: b.dims(m.root.type.shape) }) : undefined;
  },
});

/** Exporters flatten the batch axes of a matrix stack, transpose it, and unflatten it again. */
const flattenedTranspose = rule({
  name: "flattened-transpose",
  doc: "reshape(transpose(reshape(x, [B·H, M, N])), [B, H, N, M]) → transpose(reshape(x, [B, H, M, N])) of the last two axes",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const flat = p("reshape", { x });
    return { root: p("reshape", { x: p("transpose", { x: flat }, { perm: [0, 2, 1] }) }), x, flat };
  },
  rewrite(b, m) {
    const [, rows, columns] = m.flat.type.shape as readonly [Dim, Dim, Dim];
    const after = m.root.type.shape;
    const keepsMatrix = after.length > 3 && sameDim(after.at(-1)!, rows) && sameDim(after.at(-2)!, columns);
    if (!keepsMatrix) return undefined;
    const stack = b("reshape", { x: m.x, shape: b.dims([...after.slice(0, -2), rows, columns]) });
    const axes = after.map((_, i) => i);
    return b("transpose", { x: stack }, { perm: [...axes.slice(0, -2), axes.length - 1, axes.length - 2] });
  },
});

const singleConcat = rule({
  name: "single-concat",
  doc: "A concatenation of one is that one.",
  quiet: true,
  pattern(p) {
    const x = p.any();
    return { root: p("concat", { inputs: [x] }), x };
  },
  rewrite: (_, m) => m.x,
});

/** Ops whose arguments broadcast, so that expanding an argument first is idle work. */
const broadcasting = [
  "add",
  "sub",
  "mul",
  "div",
  "maximum",
  "minimum",
  "and",
  "or",
  "equal",
  "less",
  "less_equal",
] as const;
const idleExpand = broadcasting.map((op) =>
  rule({
    name: `expand-before-${op}`,
    doc: "Broadcasting does what the expand did.",
    quiet: true,
    pattern(p) {
      const a = p.any();
      const b = p.any();
      return { root: p(op, { a, b }), a, b };
    },
    rewrite(b, m) {
      const [first, second] = [m.root.node!.arg("a"), m.root.node!.arg("b")];
      for (const [expanded, other] of [
        [first, second],
        [second, first],
      ] as const) {
        if (expanded.node?.op !== "expand" || !sameShape(other.type.shape, m.root.type.shape)) continue;
        const x = expanded.node.arg("x");
        return expanded === first ? b(op, { a: x, b: second }) : b(op, { a: first, b: x });
      }
      return undefined;
    },
  }),
);

/** What passes need that move reshapes about. */
export const reshapeRules = [noOp("reshape"), reshapeOfReshape, flattenedTranspose];

export const simplifyMovement = rewritePass(
  "simplify-movement",
  "Drops reshapes, transposes, expands and slices that change nothing, and joins those that follow each other.",
  [
    noOp("reshape"),
    noOp("expand"),
    noOp("slice"),
    boundedSlice,
    noOp("pad"),
    noOp("tile"),
    tileOfOnes,
    reshapeOfReshape,
    transposeOfTranspose,
    noOpTranspose,
    flattenedTranspose,
    singleConcat,
    ...idleExpand,
  ],
);
