import type { Builder, Node, Value } from "../../ir/graph.ts";
import { reshapeTo } from "../../ir/shorthand.ts";
import { type Dim, evaluateDim, isSymbolic, sameDim, symbolsOf } from "../../tensor/dim.ts";
import { isInteger } from "../../tensor/dtype.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { evaluate, leavesOf } from "../evaluate.ts";
import { lengths } from "../lengths.ts";
import { type Match, type Miss, rewritePass, rule } from "../rule.ts";
import { lastAxisRange, lastDim, sliceLast } from "./last-axis.ts";

/**
 * Half-rotated rotary embedding as Hugging Face writes it. cos and sin come as wide as x, each half a copy of
 * the other; that the halves are equal is checked by computing them for a few positions.
 */
const rope = rule({
  name: "rope",
  doc: "x · cos + concat(-x₂, x₁) · sin → nn.rope (arXiv 2104.09864, half-rotated)",
  pattern(p) {
    const [x, cos, sin] = [p.any(), p.any(), p.any()];
    const low = p("slice", { x });
    const high = p("slice", { x });
    const rotated = p(
      "concat",
      { inputs: [p("neg", { x: high }), low] },
      { axis: (axis, node) => axis === -1 || axis === node.results[0]!.type.shape.length - 1 },
    );
    const root = p("add", { a: p("mul", { a: x, b: cos }), b: p("mul", { a: rotated, b: sin }) });
    return { root, x, cos, sin, low, high };
  },
  async check(m) {
    const width = lastDim(m.x);
    if (isSymbolic(width) || m.x.type.shape.length !== 4)
      return m.no("x is not [batch, heads, sequence, width]", m.x);
    const [low, high] = [lastAxisRange(m.low), lastAxisRange(m.high)];
    const isHalves = low?.[0] === 0 && low[1] === width / 2 && high?.[0] === width / 2 && high[1] === width;
    if (!isHalves) return m.no("the two slices are not the halves of x", m.low);
    for (const table of [m.cos, m.sin]) {
      if (tokenAxis(table, m.x, width) === undefined)
        return m.no("cos or sin is not one row of x's width for each token", table);
      const unequal = await unequalColumns(table, (column) =>
        column < width / 2 ? column : column - width / 2,
      );
      if (unequal) return m.no(`its two halves differ: ${unequal}`, table);
    }
    return undefined;
  },
  rewrite(b, m) {
    const half = (lastDim(m.x) as number) / 2;
    const [cos, sin] = [m.cos, m.sin].map((table) => sliceLast(b, tokenRows(b, table), 0, half)) as [
      Value,
      Value,
    ];
    return rotateTokens(b, m.x, cos, sin, tokenAxis(m.cos, m.x, half * 2)!, false);
  },
});

/**
 * The axis of x [B, H, S, D] or [B, S, H, D] that tokens lie along, told by a table of their rows that is
 * broadcast along the heads; undefined if it is no such table.
 */
function tokenAxis(table: Value, x: Value, width: number): 1 | 2 | undefined {
  const { shape } = table.type;
  if (x.type.shape.length !== 4 || lastDim(table) !== width) return undefined;
  const rows = [...new Array<Dim>(4 - shape.length).fill(1), ...shape];
  if (rows.length !== 4 || rows[0] !== 1) return undefined;
  if (rows[1] === 1) return 2;
  return rows[2] === 1 && sameDim(rows[1]!, x.type.shape[1]!) ? 1 : undefined;
}

/** [1, S, width] */
function tokenRows(b: Builder, table: Value): Value {
  const { shape } = table.type;
  const tokens = shape.slice(0, -1).find((size) => size !== 1) ?? 1;
  return b("reshape", { x: table, shape: b.dims([1, tokens, shape.at(-1)!]) });
}

/** nn.rope of x whose tokens lie along the given axis. */
function rotateTokens(
  b: Builder,
  x: Value,
  cos: Value,
  sin: Value,
  axis: 1 | 2,
  interleaved: boolean,
): Value {
  if (axis === 2) return b("nn.rope", { x, cos, sin }, { interleaved });
  const perm = [0, 2, 1, 3];
  return b(
    "transpose",
    { x: b("nn.rope", { x: b("transpose", { x }, { perm }), cos, sin }, { interleaved }) },
    { perm },
  );
}

/**
 * Whether columns of a table that ought to be copies are, told by computing the rows of a few positions; every
 * graph input that is an integer counts up from 0.
 * @param original which column a column ought to equal
 * @returns what is wrong
 */
async function unequalColumns(
  table: Value,
  original: (column: number) => number,
): Promise<string | undefined> {
  const symbols = lengths(0, 3);
  const sizeOf = (dim: Dim): number =>
    [...symbolsOf(dim)].every((name) => symbols.has(name)) ? evaluateDim(dim, symbols) : 3;
  const inputs = new Map<Value, Tensor>();
  for (const leaf of leavesOf(table)) {
    if (leaf.def.kind !== "input" || leaf.contents) continue;
    if (!isInteger(leaf.type.dtype)) return `it depends on ${leaf.def.name}, which is not a position`;
    const shape = leaf.type.shape.map(sizeOf);
    const count = shape.reduce((n, size) => n * size, 1);
    const positions = Array.from({ length: count }, (_, i) => i % 3);
    inputs.set(leaf, tensor(leaf.type.dtype, shape, positions));
  }
  try {
    const { data, shape } = await evaluate(table, { symbols, inputs });
    const width = shape.at(-1)!;
    const isCopy = (value: number, i: number) => value === data[i - (i % width) + original(i % width)];
    return data.every(isCopy) ? undefined : "they are not copies of each other";
  } catch (error) {
    return `its rows cannot be computed ahead of time: ${(error as Error).message}`;
  }
}

const partialRope = rule({
  name: "partial-rope",
  doc: "concat(rope(x[..r]), x[r..]) → nn.rope over the first r elements",
  pattern(p) {
    const [x, cos, sin] = [p.any(), p.any(), p.any()];
    const head = p("slice", { x });
    const tail = p("slice", { x });
    const rotated = p("nn.rope", { x: head, cos, sin });
    return { root: p("concat", { inputs: [rotated, tail] }), x, rotated, cos, sin, head, tail };
  },
  check(m) {
    const [head, tail] = [lastAxisRange(m.head), lastAxisRange(m.tail)];
    const isSplit = head && tail && head[0] === 0 && head[1] === tail[0] && tail[1] === lastDim(m.x);
    return isSplit ? undefined : m.no("the rotated and the passed part do not make up x", m.head);
  },
  rewrite: (b, m) =>
    b(
      "nn.rope",
      { x: m.x, cos: m.cos, sin: m.sin },
      { interleaved: m.rotated.node!.attrs.interleaved as boolean },
    ),
});

const isConcatOfLast = (axis: number, node: Node): boolean =>
  axis === -1 || axis === node.results[0]!.type.shape.length - 1;

/** Rotation of the halves one by one, with tables of half the width. */
const ropeOfHalves = rule({
  name: "rope-of-halves",
  doc: "concat(x₁ · cos - x₂ · sin, x₂ · cos + x₁ · sin) → nn.rope",
  pattern(p) {
    const [x, cos, sin] = [p.any(), p.any(), p.any()];
    const [low, high] = [p("slice", { x }), p("slice", { x })];
    const first = p("sub", { a: p("mul", { a: low, b: cos }), b: p("mul", { a: high, b: sin }) });
    const second = p("add", { a: p("mul", { a: high, b: cos }), b: p("mul", { a: low, b: sin }) });
    return {
      root: p("concat", { inputs: [first, second] }, { axis: isConcatOfLast }),
      x,
      cos,
      sin,
      low,
      high,
    };
  },
  check(m) {
    const width = lastDim(m.x) as number;
    const [low, high] = [lastAxisRange(m.low), lastAxisRange(m.high)];
    if (low?.[0] !== 0 || low[1] !== width / 2 || high?.[0] !== width / 2 || high[1] !== width)
      return m.no("the two slices are not the halves of x", m.low);
    return haveTokenRows(m, width / 2);
  },
  rewrite: (b, m) => rotateByHalf(b, m, false),
});

/** Rotation of neighbours, which are put together again. */
const ropeOfPairs = rule({
  name: "rope-of-pairs",
  doc: "x₀ · cos - x₁ · sin and x₁ · cos + x₀ · sin of neighbours, interleaved → nn.rope, interleaved",
  pattern(p) {
    const [x, cos, sin] = [p.any(), p.any(), p.any()];
    const [even, odd] = [p("slice", { x }), p("slice", { x })];
    const first = p("sub", { a: p("mul", { a: even, b: cos }), b: p("mul", { a: odd, b: sin }) });
    const second = p("add", { a: p("mul", { a: odd, b: cos }), b: p("mul", { a: even, b: sin }) });
    const pairs = p(
      "concat",
      { inputs: [p("reshape", { x: first }), p("reshape", { x: second })] },
      { axis: isConcatOfLast },
    );
    return { root: p("reshape", { x: pairs }), x, cos, sin, even, odd };
  },
  check(m) {
    const width = lastDim(m.x) as number;
    const isStride = (slice: Value, from: number) =>
      (slice.node!.attrs.steps as readonly number[]).join() === "2" &&
      slice.node!.arg("starts").contents?.[0] === from &&
      lastDim(slice) === width / 2;
    if (!isStride(m.even, 0) || !isStride(m.odd, 1) || !sameDim(lastDim(m.root), width))
      return m.no("the two slices are not the even and the odd elements of x", m.even);
    return haveTokenRows(m, width / 2);
  },
  // What puts pairs together may at once leave out axes of one.
  rewrite: (b, m) => reshapeTo(b, rotateByHalf(b, m, true), m.root.type.shape),
});

type Rotation = "x" | "cos" | "sin";

const haveTokenRows = (m: Match<Rotation>, width: number): Miss | undefined =>
  [m.cos, m.sin].every((table) => tokenAxis(table, m.x, width) !== undefined)
    ? undefined
    : m.no("cos or sin is not one row for each token", m.cos);

function rotateByHalf(b: Builder, m: Match<Rotation>, interleaved: boolean): Value {
  const axis = tokenAxis(m.cos, m.x, lastDim(m.cos) as number)!;
  return rotateTokens(b, m.x, tokenRows(b, m.cos), tokenRows(b, m.sin), axis, interleaved);
}

export const fuseRope = rewritePass("fuse-rope", "Recognises rotary position embeddings.", [
  rope,
  ropeOfHalves,
  ropeOfPairs,
  partialRope,
]);
