import type { Builder, Value } from "../../ir/graph.ts";
import { reshapeTo } from "../../ir/shorthand.ts";
import { sameShape } from "../../ir/type.ts";
import { inlineWeight } from "../../ir/weights.ts";
import { type Dim, multiplyDims, productOf, sameDim } from "../../tensor/dim.ts";
import { scalarTensor } from "../../tensor/tensor.ts";
import { reshapeRules } from "../canonical/simplify-movement.ts";
import { type PatternBuilder, scalarOf } from "../pattern.ts";
import { rewritePass, rule } from "../rule.ts";

/** A score that softmax turns to nothing, in any float type. */
const isBlocked = (score: number): boolean => score <= -1e4;

type Shape = readonly Dim[];

const defaults = { causal: false, softcap: 0, window: 0 };

/** (c·q)·kᵀ and q·(c·k)ᵀ: the factor moves behind the product. Only where both sides are computed. */
const hoistScale = rule({
  name: "hoist-attention-scale",
  doc: "A constant factor on q or k becomes one on the scores.",
  quiet: true,
  pattern(p) {
    const [a, b, c] = [p.any(), p.any(), p.scalar()];
    const scaled = p.either(p("mul", { a, b: c }), p("div", { a, b: c }));
    return { root: p.either(p("matmul", { a: scaled, b }), p("matmul", { a: b, b: scaled })), a, b, c };
  },
  rewrite(b, m) {
    const [left, right] = [m.root.node!.arg("a"), m.root.node!.arg("b")];
    if (m.a.def.kind === "const" || m.b.def.kind === "const" || m.root.type.shape.length < 3)
      return undefined;
    const isLeft = left !== m.b;
    const factor = (isLeft ? left : right).node!;
    const product = b("matmul", isLeft ? { a: m.a, b: right } : { a: left, b: m.a });
    return b(factor.op as "mul" | "div", { a: product, b: m.c });
  },
});

const scaleThroughTranspose = rule({
  name: "scale-through-transpose",
  doc: "transpose(c · x) → c · transpose(x)",
  quiet: true,
  pattern(p) {
    const [x, c] = [p.any(), p.scalar()];
    const scaled = p.either(p("mul", { a: x, b: c }), p("div", { a: x, b: c }));
    return { root: p("transpose", { x: scaled }), x, c, scaled };
  },
  rewrite(b, m) {
    const moved = b("transpose", { x: m.x }, { perm: m.root.node!.attrs.perm as readonly number[] });
    return b(m.scaled.node!.op as "mul" | "div", { a: moved, b: m.c });
  },
});

/** Products of stacks of matrices whose batch and heads were made one axis. */
const stackedProduct = rule({
  name: "stacked-product",
  doc: "matmul(reshape(a, [B·H, M, K]), b) → reshape(matmul(a, reshape(b, [B, H, K, N])), [B·H, M, N])",
  quiet: true,
  pattern(p) {
    const [a, b] = [p.any(), p.any()];
    const flat = p("reshape", { x: a });
    return { root: p("matmul", { a: flat, b }), a, b, flat };
  },
  rewrite(b, m) {
    const [before, after] = [m.a.type.shape, m.flat.type.shape];
    const keepsMatrices =
      before.length === 4 && after.length === 3 && sameShape(before.slice(2), after.slice(1));
    if (!keepsMatrices || m.b.type.shape.length !== 3 || m.b.def.kind === "const") return undefined;
    const heads = before.slice(0, 2);
    if (!sameDim(m.b.type.shape[0]!, productOf(heads))) return undefined;
    const right = b("reshape", { x: m.b, shape: b.dims([...heads, ...m.b.type.shape.slice(1)]) });
    return reshapeTo(b, b("matmul", { a: m.a, b: right }), m.root.type.shape);
  },
});

const stackedSoftmax = rule({
  name: "stacked-softmax",
  doc: "softmax(reshape(x)) over a last axis that the reshape keeps → reshape(softmax(x))",
  quiet: true,
  pattern(p) {
    const x = p.any();
    const flat = p("reshape", { x });
    return { root: p("softmax", { x: flat }), x, flat };
  },
  rewrite(b, m) {
    const [before, after] = [m.x.type.shape, m.root.type.shape];
    const axis = m.root.node!.attrs.axis as number;
    const isLast = axis === -1 || axis === after.length - 1;
    if (!isLast || before.length <= after.length || !sameDim(before.at(-1)!, after.at(-1)!)) return undefined;
    return reshapeTo(b, b("softmax", { x: m.x }, { axis: -1 }), m.root.type.shape);
  },
});

const mergeScales = rule({
  name: "merge-attention-scales",
  doc: "Two constant factors on attention scores are one.",
  quiet: true,
  pattern(p) {
    const [q, k, c, d] = [p.any(), p.any(), p.scalar(), p.scalar()];
    const x = p("matmul", { a: q, b: k });
    const inner = p.either(p("mul", { a: x, b: c }), p("div", { a: x, b: c }));
    return { root: p.either(p("mul", { a: inner, b: d }), p("div", { a: inner, b: d })), x, c, d, inner };
  },
  rewrite(b, m) {
    const factor = (value: Value, c: Value) => (value.node!.op === "mul" ? scalarOf(c)! : 1 / scalarOf(c)!);
    const product = factor(m.inner, m.c) * factor(m.root, m.d);
    return b("mul", { a: m.x, b: b.constant(inlineWeight(scalarTensor(m.x.type.dtype, product))) });
  },
});

/** softmax of a fully masked row is NaN; exporters replace it by zeros, which is what nn.sdpa gives. */
const sdpa = rule({
  name: "sdpa",
  doc: "softmax(q·kᵀ · scale + mask) · v → nn.sdpa (arXiv 1706.03762 §3.2.1)",
  pattern(p) {
    const [q, v] = [p.any(), p.any()];
    const [k, mask, inner] = [p.optional(p.any()), p.optional(p.any()), p.optional(p.any())];
    const [factor, cap] = [p.optional(p.scalar()), p.optional(p.scalar())];
    const [blocked, lowest] = [p.optional(p.scalar()), p.optional(p.scalar())];
    const kt = p.either(p("transpose", { x: k }, { perm: (perm) => swapsLastTwo(perm) }), p.any());
    const scores = p("matmul", { a: q, b: kt });
    const scaled = p.either(p("mul", { a: scores, b: factor }), p("div", { a: scores, b: factor }), scores);
    const capped = p.either(p("mul", { a: p("tanh", { x: scaled }), b: cap }), scaled);
    const masked = p.either(
      p("add", { a: p("where", { condition: inner, a: capped, b: blocked }), b: mask }),
      p("where", { condition: mask, a: p("add", { a: capped, b: inner }), b: blocked }),
      p("where", { condition: mask, a: capped, b: blocked }),
      p("add", { a: p("add", { a: capped, b: inner }), b: mask }),
      p("add", { a: capped, b: mask }),
      capped,
    );
    const clamped = p.either(p("maximum", { a: masked, b: lowest }), masked);
    const probabilities = p(
      "softmax",
      { x: clamped },
      { axis: (axis, node) => axis === -1 || axis === node.results[0]!.type.shape.length - 1 },
    );
    const safe = p.either(
      p("where", { condition: p("is_nan", { x: probabilities }), a: p.scalar(0), b: probabilities }),
      probabilities,
    );
    return {
      root: p("matmul", { a: safe, b: v }),
      ...{ q, k, kt, v, scaled, mask, blocked, inner, factor, cap, lowest },
    };
  },
  check(m) {
    if (m.q.type.shape.length !== 4) return m.no("the heads are not an axis of their own", m.q);
    if (m.k === undefined && isConstantFactor(m.kt)) return m.no("k is scaled by itself", m.kt);
    if (m.blocked !== undefined && !isBlocked(m.scalar(m.blocked)!))
      return m.no(`masked scores become ${m.scalar(m.blocked)}, which softmax does not ignore`, m.blocked);
    if (m.lowest !== undefined && !isBlocked(m.scalar(m.lowest)!))
      return m.no(`scores are held above ${m.scalar(m.lowest)}`, m.lowest);
    return undefined;
  },
  rewrite(b, m) {
    const factor = m.factor === undefined ? 1 : m.scalar(m.factor)!;
    const inner = m.factor !== undefined && m.scaled.node!.op === "div" ? 1 / factor : factor;
    // softcap · tanh(scale · q·kᵀ / softcap): the two factors of the argument have been joined
    const softcap = m.cap === undefined ? 0 : m.scalar(m.cap)!;
    const scale = softcap === 0 ? inner : inner * softcap;
    const mask = clampedMask(b, combinedMask(b, m), m.lowest);
    const k = m.k ?? b("transpose", { x: m.kt }, { perm: [0, 1, 3, 2] });
    return b("nn.sdpa", { q: m.q, k, v: m.v, ...(mask && { mask }) }, { ...defaults, scale, softcap });
  },
});

/** A product with a constant number that is still to be moved behind the scores. */
const isConstantFactor = ({ node }: Value): boolean =>
  (node?.op === "mul" || node?.op === "div") && scalarOf(node.arg("b")) !== undefined;

/** Scores held above a number that stands for "not seen": a mask held above it does the same. */
function clampedMask(b: Builder, mask: Value | undefined, lowest: Value | undefined): Value | undefined {
  if (mask === undefined || lowest === undefined || mask.type.dtype === "bool") return mask;
  return b("maximum", { a: mask, b: lowest });
}

const swapsLastTwo = (perm: readonly number[]): boolean =>
  perm.every((axis, i) => axis === (i === perm.length - 2 ? i + 1 : i === perm.length - 1 ? i - 1 : i));

/** Up to two masks, each boolean (keep) or added, as one that nn.sdpa takes. */
function combinedMask(
  b: Builder,
  m: Readonly<Record<"mask" | "inner" | "blocked", Value | undefined>>,
): Value | undefined {
  if (m.mask === undefined) return undefined;
  if (m.inner === undefined) return m.mask;
  const [bool, added] = m.inner.type.dtype === "bool" ? [m.inner, m.mask] : [m.mask, m.inner];
  if (bool.type.dtype !== "bool") return b("add", { a: m.inner, b: m.mask });
  return b("where", { condition: bool, a: added, b: m.blocked! });
}

const repeated = (p: PatternBuilder) => {
  const x = p.any();
  const split = p("reshape", { x });
  const wide = p("expand", { x: split });
  return { x, split, wide, flat: p("reshape", { x: wide }) };
};

/** Grouped-query attention: a head of k and v that several heads of q share, written out once for each. */
const sharedHeads = rule({
  name: "shared-heads",
  doc: "Heads of k and v repeated for grouped queries are read in place (arXiv 2305.13245).",
  pattern(p) {
    const [k, v] = [repeated(p), repeated(p)];
    return {
      root: p("nn.sdpa", { k: k.flat, v: v.flat }),
      ...{ k: k.x, kSplit: k.split, kWide: k.wide, kFlat: k.flat },
      ...{ v: v.x, vSplit: v.split, vWide: v.wide, vFlat: v.flat },
    };
  },
  check(m) {
    if (!repeatsHeads(m.k, m.kSplit, m.kWide, m.kFlat))
      return m.no("the reshapes of k do not repeat whole heads", m.kFlat);
    if (!repeatsHeads(m.v, m.vSplit, m.vWide, m.vFlat))
      return m.no("the reshapes of v do not repeat whole heads", m.vFlat);
    return undefined;
  },
  rewrite(b, m) {
    const { args, attrs } = m.root.node!;
    return b.untyped("nn.sdpa", { ...args, k: m.k, v: m.v }, attrs)[0];
  },
});

/** [B, Hk, T, D] → [B, Hk, 1, T, D] → [B, Hk, G, T, D] → [B, Hk·G, T, D] */
function repeatsHeads(...values: readonly [Value, Value, Value, Value]): boolean {
  const [from, split, wide, flat] = values.map((value) => value.type.shape) as [Shape, Shape, Shape, Shape];
  if (from.length !== 4 || split.length !== 5 || flat.length !== 4 || split[2] !== 1) return false;
  const keepsHeads = sameDim(split[1]!, from[1]!) && sameDim(wide[1]!, from[1]!);
  return keepsHeads && sameDim(flat[1]!, multiplyDims(wide[1]!, wide[2]!));
}

/** Exporters round the factor √(1/D) in their own ways: once to f32, twice as factors on q and k. */
const naturalScale = rule({
  name: "natural-scale",
  doc: "A scale equal to 1/√D up to f32 rounding is 1/√D in f32.",
  quiet: true,
  pattern: (p) => ({ root: p("nn.sdpa", {}) }),
  rewrite(b, m) {
    const { args, attrs } = m.root.node!;
    const width = m.root.node!.arg("q").type.shape[3];
    if (typeof width !== "number") return undefined;
    const natural = Math.fround(1 / Math.sqrt(width));
    const scale = attrs.scale as number;
    if (scale === natural || Math.abs(scale / natural - 1) > 1e-6) return undefined;
    return b.untyped("nn.sdpa", args, { ...attrs, scale: natural })[0];
  },
});

export const fuseAttention = rewritePass(
  "fuse-attention",
  "Recognises scaled dot-product attention, with masks of any kind and grouped queries.",
  [
    ...reshapeRules,
    stackedProduct,
    stackedSoftmax,
    hoistScale,
    scaleThroughTranspose,
    mergeScales,
    sdpa,
    sharedHeads,
    naturalScale,
  ],
);
