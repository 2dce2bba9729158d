import type { Builder, Value } from "../../ir/graph.ts";
import { isStatic, sameShape } from "../../ir/type.ts";
import { rowsOfWeight, transposeWeight } from "../../ir/weights.ts";
import { type Dim, sameDim } from "../../tensor/dim.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { rewritePass, rule } from "../rule.ts";
import { lastAxisRange, sliceLast } from "./last-axis.ts";

const constantMatrix = rule({
  name: "linear",
  doc: "x · W with a constant W [K, N] → nn.linear with the weight [N, K], rows contiguous along K",
  pattern(p) {
    const [x, w] = [p.any(), p.constant()];
    return { root: p("matmul", { a: x, b: w }), x, w };
  },
  check(m) {
    if (m.w.type.shape.length !== 2 || !isFloat(m.w.type.dtype))
      return m.no("the constant is not a float matrix", m.w);
    if (m.x.def.kind === "const" || m.x.type.shape.length < 2)
      return m.no("the other side is a constant or a vector", m.x);
    return undefined;
  },
  rewrite(b, m) {
    if (m.w.def.kind !== "const") return undefined;
    return b("nn.linear", { x: m.x, weight: b.constant(transposeWeight(m.w.def.data)) });
  },
});

const bias = rule({
  name: "linear-bias",
  doc: "nn.linear(x) + bias → nn.linear with its bias",
  quiet: true,
  pattern(p) {
    const [x, w, b] = [p.any(), p.any(), p.constant()];
    const linear = p("nn.linear", { x, weight: w });
    return { root: p("add", { a: linear, b }), x, w, linear, bias: b };
  },
  rewrite(b, m) {
    const isRow = m.bias.type.shape.length === 1 && sameDim(m.bias.type.shape[0]!, m.w.type.shape[0]!);
    if (!isRow || m.linear.node!.args.bias !== undefined || m.isShared(m.linear)) return undefined;
    return b("nn.linear", { x: m.x, weight: m.w, bias: m.bias });
  },
});

/** Conv1D and Gemm exports flatten the leading axes, multiply, and unflatten. */
const flattened = rule({
  name: "flattened-linear",
  doc: "reshape(nn.linear(reshape(x, [M, K])), [.., N]) → nn.linear(reshape(x, [.., K]))",
  quiet: true,
  pattern(p) {
    const [x, w] = [p.any(), p.any()];
    const flat = p("reshape", { x });
    const linear = p("nn.linear", { x: flat, weight: w });
    return { root: p("reshape", { x: linear }), x, w, linear, flat };
  },
  rewrite(b, m) {
    const [N, K] = m.w.type.shape as readonly [Dim, Dim];
    const after = m.root.type.shape;
    if (m.flat.type.shape.length !== 2 || after.length < 3 || !sameDim(after.at(-1)!, N)) return undefined;
    const x = b("reshape", { x: m.x, shape: b.dims([...after.slice(0, -1), K]) });
    const bias = m.linear.node!.optional("bias");
    return b("nn.linear", { x, weight: m.w, bias });
  },
});

/** A tensor reshaped to rows, used by several linears, each reshaped back after something else (a bias, a split). */
const flattenedInput = rule({
  name: "linear-of-rows",
  doc: "nn.linear(reshape(x, [M, K])) → reshape(nn.linear(x), [M, N])",
  quiet: true,
  pattern(p) {
    const [x, w] = [p.any(), p.any()];
    const flat = p("reshape", { x });
    return { root: p("nn.linear", { x: flat, weight: w }), x, w, flat };
  },
  rewrite(b, m) {
    const K = m.w.type.shape[1]!;
    const isFlatten =
      m.flat.type.shape.length === 2 && m.x.type.shape.length > 2 && sameDim(m.x.type.shape.at(-1)!, K);
    if (!isFlatten) return undefined;
    const bias = m.root.node!.optional("bias");
    return b("reshape", {
      x: b("nn.linear", { x: m.x, weight: m.w, bias }),
      shape: b.dims(m.root.type.shape),
    });
  },
});

/** The range that a slice takes of the last axis, if it and all that stand beside it take such ranges, apart. */
function separatePart(slice: Value, whole: Value): readonly [number, number] | undefined {
  const parts = [...whole.users].map(({ op, results }) =>
    op === "slice" ? lastAxisRange(results[0]!) : undefined,
  );
  const areApart = parts.every((part, i) =>
    parts.every((other, j) => i === j || (part && other && (part[1] <= other[0] || other[1] <= part[0]))),
  );
  return areApart ? lastAxisRange(slice) : undefined;
}

/** Rows `from` to `to` of a constant; undefined for anything else. */
const constantRows = (
  b: Builder,
  { def }: Value,
  [from, to]: readonly [number, number],
): Value | undefined => (def.kind === "const" ? b.constant(rowsOfWeight(def.data, from, to)) : undefined);

/** Projections that were joined into one matrix: q, k and v; gate and up. */
const packed = rule({
  name: "packed-linear",
  doc: "slice(nn.linear(x, W)) over the last axis, beside others → nn.linear(x, rows of W)",
  quiet: true,
  pattern(p) {
    const [x, w] = [p.any(), p.constant()];
    const linear = p("nn.linear", { x, weight: w });
    return { root: p("slice", { x: linear }), linear, x, w };
  },
  rewrite(b, m) {
    const range = separatePart(m.root, m.linear);
    if (range === undefined) return undefined;
    const given = m.linear.node!.optional("bias");
    const bias = given && constantRows(b, given, range);
    const weight = constantRows(b, m.w, range);
    if (weight === undefined || (given && !bias)) return undefined;
    return b("nn.linear", { x: m.x, weight, bias });
  },
});

/** Some split the outputs into axes and take q, k and v from one of them. */
const packedAxis = rule({
  name: "packed-axis",
  doc: "reshape(x, [.., n, ..])[i] of the axes that the last one was split into → a slice of the last axis",
  quiet: true,
  pattern(p) {
    const [x, index] = [p.any(), p.scalar()];
    const whole = p("reshape", { x });
    return { root: p("gather", { x: whole, indices: index }), whole, x, index };
  },
  rewrite(b, m) {
    const axis = m.root.node!.attrs.axis as number;
    const [before, after] = [m.x.type.shape, m.whole.type.shape];
    const lead = before.length - 1;
    const isSplit = sameShape(before.slice(0, lead), after.slice(0, lead)) && after.length > before.length;
    const inner = after.slice(axis + 1);
    if (!isSplit || axis !== lead || m.index.type.shape.length > 0 || !isStatic(inner)) return undefined;
    if (m.x.node?.op !== "nn.linear" && m.x.node?.op !== "add") return undefined;
    const size = elementCount(inner);
    const from = m.scalar(m.index)! * size;
    return b("reshape", { x: sliceLast(b, m.x, from, from + size), shape: b.dims(m.root.type.shape) });
  },
});

/**
 * A part of the last axis of what a joined result is scaled or shifted by: a constant vector, a value that is the
 * same along that axis, or a product of such.
 */
function partOfFactor(b: Builder, factor: Value, range: readonly [number, number]): Value | undefined {
  const { shape } = factor.type;
  if (shape.length === 0 || shape.at(-1) === 1) return factor;
  if (shape.length === 1) return constantRows(b, factor, range);
  const { node } = factor;
  if (node?.op !== "mul" && node?.op !== "div") return undefined;
  const [x, y] = [partOfFactor(b, node.arg("a"), range), partOfFactor(b, node.arg("b"), range)];
  return x && y && b(node.op, { a: x, b: y });
}

/** What follows a joined matrix before its result is taken apart: scales and biases. */
const packedFactor = (["mul", "div", "add"] as const).map((op) =>
  rule({
    name: `slice-before-${op}`,
    doc: `slice(${op}(x, c)) over the last axis, beside others → ${op} of the slices`,
    quiet: true,
    pattern(p) {
      const [x, factor] = [p.any(), p.any()];
      const whole = p(op, { a: x, b: factor });
      return { root: p("slice", { x: whole }), whole, x, factor };
    },
    rewrite(b, m) {
      const range = separatePart(m.root, m.whole);
      const isWhole = sameDim(m.x.type.shape.at(-1) ?? 1, m.whole.type.shape.at(-1)!);
      const factor = range && isWhole ? partOfFactor(b, m.factor, range) : undefined;
      return factor && b(op, { a: sliceLast(b, m.x, ...range!), b: factor });
    },
  }),
);

const embedding = rule({
  name: "embedding",
  doc: "gather of rows of a constant float table → nn.embedding",
  quiet: true,
  pattern(p) {
    const [table, ids] = [p.constant(), p.any()];
    return { root: p("gather", { x: table, indices: ids }, { axis: 0 }), table, ids };
  },
  rewrite: (b, m) =>
    m.table.type.shape.length === 2 &&
    m.table.type.dtype === "f32" &&
    m.ids.def.kind !== "const" &&
    m.ids.type.shape.length > 0
      ? b("nn.embedding", { table: m.table, ids: m.ids })
      : undefined,
});

export const fuseLinear = rewritePass(
  "fuse-linear",
  "Recognises matrix products with constant weights, and embeddings.",
  [constantMatrix, bias, flattened, flattenedInput, packed, ...packedFactor, packedAxis, embedding],
);
