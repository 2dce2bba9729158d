import type { Builder, Value } from "../../ir/graph.ts";
import { type Dim, isSymbolic } from "../../tensor/dim.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { evaluate, leavesOf } from "../evaluate.ts";
import { rewritePass, rule } from "../rule.ts";

const huge = 2 ** 62;

const lastDim = (value: Value): Dim => value.type.shape.at(-1)!;

/** Elements `from` (inclusive) to `to` (exclusive) of the last axis. */
export function sliceLast(b: Builder, x: Value, from: number, to: number): Value {
  const axes = [x.type.shape.length - 1];
  return b("slice", { x, starts: b.dims([from]), ends: b.dims([to]) }, { axes, steps: [1] });
}

/** Which part of the last axis a slice takes, when it takes one with step 1. */
export function lastAxisRange(slice: Value): readonly [number, number] | undefined {
  const node = slice.node!;
  const rank = slice.type.shape.length;
  const axes = node.attrs.axes as readonly number[];
  const size = lastDim(node.arg("x"));
  if (
    axes.length !== 1 ||
    (axes[0]! + rank) % rank !== rank - 1 ||
    (node.attrs.steps as readonly number[])[0] !== 1
  )
    return undefined;
  const [start, end] = [node.arg("starts").contents?.[0], node.arg("ends").contents?.[0]];
  if (typeof start !== "number" || typeof end !== "number" || isSymbolic(size)) return undefined;
  const bound = (at: number) => Math.min(size, Math.max(0, at < 0 ? at + size : at));
  return [bound(start), bound(Math.min(end, huge))];
}

/**
 * Half-rotated rotary embedding as Hugging Face writes it. cos and sin come as wide as x, each half a copy of
 * the other; that the halves are equal is checked by computing them for a few positions.
 */
const rope = rule<"x" | "cos" | "sin" | "low" | "high">({
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
      const { shape } = table.type;
      const isPerToken = lastDim(table) === width && shape.slice(0, -2).every((dim) => dim === 1);
      if (!isPerToken) return m.no("cos or sin is not one row of x's width for each token", table);
      const unequal = await haveEqualHalves(table);
      if (unequal) return m.no(unequal, table);
    }
    return undefined;
  },
  rewrite(b, m) {
    const half = (lastDim(m.x) as number) / 2;
    const perToken = (table: Value): Value => {
      const [sequence, width] = table.type.shape.slice(-2) as [Dim, number];
      const rows = b("reshape", { x: table, shape: b.dims([1, sequence, width]) });
      return sliceLast(b, rows, 0, half);
    };
    return b("nn.rope", { x: m.x, cos: perToken(m.cos), sin: perToken(m.sin) }, { interleaved: false });
  },
});

/** Computes the rows of a few positions; every graph input that is an integer counts up from 0. */
async function haveEqualHalves(table: Value): Promise<string | undefined> {
  const symbols = new Map<string, number>([
    ["S", 3],
    ["P", 0],
  ]);
  const inputs = new Map<Value, Tensor>();
  for (const leaf of leavesOf(table)) {
    if (leaf.def.kind !== "input" || leaf.contents) continue;
    const shape = leaf.type.shape.map((dim) => (dim === 1 ? 1 : 3));
    const count = shape.reduce<number>((n, dim) => n * dim, 1);
    if (leaf.type.dtype !== "i64" && leaf.type.dtype !== "i32")
      return `it depends on ${leaf.def.name}, which is not a position`;
    inputs.set(
      leaf,
      tensor(
        leaf.type.dtype,
        shape,
        Array.from({ length: count }, (_, i) => i % 3),
      ),
    );
  }
  let data: ArrayLike<number>;
  let width: number;
  try {
    const rows = await evaluate(table, { symbols, inputs });
    data = rows.data;
    width = rows.shape.at(-1)!;
  } catch (error) {
    return `its rows cannot be computed ahead of time: ${(error as Error).message}`;
  }
  for (let i = 0; i < data.length; i++) {
    const column = i % width;
    if (column >= width / 2 && data[i] !== data[i - width / 2]) return "its two halves differ";
  }
  return undefined;
}

const partialRope = rule<"x" | "rotated" | "cos" | "sin" | "head" | "tail">({
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

export const fuseRope = rewritePass("fuse-rope", "Recognises rotary position embeddings.", [
  rope,
  partialRope,
]);
