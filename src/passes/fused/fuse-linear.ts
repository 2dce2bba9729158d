import type { Builder, Value } from "../../ir/graph.ts";
import type { ArgsOf } from "../../ir/ops/index.ts";
import type { Args } from "../../ir/ops/op.ts";
import { sameShape } from "../../ir/type.ts";
import { rowsOfWeight, transposeWeight } from "../../ir/weights.ts";
import { sameDim } from "../../tensor/dim.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { rewritePass, rule } from "../rule.ts";
import { lastAxisRange, sliceLast } from "./fuse-rope.ts";

const constantMatrix = rule<"x" | "w">({
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

/** What an `nn.linear` may have beside x and its weight. */
function optionalArgs(linear: Value): {
  readonly bias?: Value | undefined;
  readonly scale?: Value | undefined;
} {
  const { bias, scale } = linear.node!.args as Args<ArgsOf<"nn.linear">, Value>;
  return { bias, scale };
}

const bias = rule<"x" | "w" | "linear" | "bias">({
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
    if (!isRow || m.linear.node!.args.bias !== undefined || m.linear.users.size > 1) return undefined;
    return b("nn.linear", { ...optionalArgs(m.linear), x: m.x, weight: m.w, bias: m.bias });
  },
});

/** Conv1D and Gemm exports flatten the leading axes, multiply, and unflatten. */
const flattened = rule<"x" | "w" | "linear" | "flat">({
  name: "flattened-linear",
  doc: "reshape(nn.linear(reshape(x, [M, K])), [.., N]) → nn.linear(x)",
  quiet: true,
  pattern(p) {
    const [x, w] = [p.any(), p.any()];
    const flat = p("reshape", { x });
    const linear = p("nn.linear", { x: flat, weight: w });
    return { root: p("reshape", { x: linear }), x, w, linear, flat };
  },
  rewrite(b, m) {
    const K = m.w.type.shape[1]!;
    const isFlatten =
      m.flat.type.shape.length === 2 &&
      sameDim(m.x.type.shape.at(-1)!, K) &&
      sameDim(m.flat.type.shape[1]!, K);
    const wanted = [...m.x.type.shape.slice(0, -1), m.w.type.shape[0]!];
    if (!isFlatten || !sameShape(wanted, m.root.type.shape)) return undefined;
    return b("nn.linear", { ...optionalArgs(m.linear), x: m.x, weight: m.w });
  },
});

/** A tensor reshaped to rows, used by several linears, each reshaped back after something else (a bias, a split). */
const flattenedInput = rule<"x" | "w" | "flat">({
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
    return b("reshape", {
      x: b("nn.linear", { ...optionalArgs(m.root), x: m.x, weight: m.w }),
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
const packed = rule<"linear" | "x" | "w">({
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
    const given = optionalArgs(m.linear);
    const bias = given.bias && constantRows(b, given.bias, range);
    const scale = given.scale && constantRows(b, given.scale, range);
    const weight = constantRows(b, m.w, range);
    if (weight === undefined || (given.bias && !bias) || (given.scale && !scale)) return undefined;
    return b("nn.linear", { x: m.x, weight, bias, scale });
  },
});

/** What follows a joined matrix before its result is taken apart: scales and biases. */
const packedFactor = (["mul", "div", "add"] as const).map((op) =>
  rule<"whole" | "x" | "c">({
    name: `slice-before-${op}`,
    doc: `slice(${op}(x, c)) over the last axis, beside others → ${op} of the slices`,
    quiet: true,
    pattern(p) {
      const [x, c] = [p.any(), p.any()];
      const whole = p(op, { a: x, b: c });
      return { root: p("slice", { x: whole }), whole, x, c };
    },
    rewrite(b, m) {
      const range = separatePart(m.root, m.whole);
      const { shape } = m.c.type;
      const isVector = shape.length === 1 && sameDim(shape[0]!, m.x.type.shape.at(-1)!);
      const isEqualForAll = shape.length === 0 || shape.at(-1) === 1;
      if (range === undefined || (!isVector && !isEqualForAll)) return undefined;
      const c = isVector ? constantRows(b, m.c, range) : m.c;
      return c && b(op, { a: sliceLast(b, m.x, ...range), b: c });
    },
  }),
);

const embedding = rule<"table" | "ids">({
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
  [constantMatrix, bias, flattened, flattenedInput, packed, ...packedFactor, embedding],
);
