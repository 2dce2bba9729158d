import type { Node } from "../../../ir/graph.ts";
import { f32, isStatic } from "../../../ir/type.ts";
import { memoryWeight } from "../../../ir/weights.ts";
import {
  addDims,
  type Dim,
  dimKey,
  isSymbolic,
  minDims,
  multiplyDims,
  subtractDims,
} from "../../../tensor/dim.ts";
import { tensor } from "../../../tensor/tensor.ts";
import { firstOf } from "../../refusal.ts";
import { startOf } from "../../sizes.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import { positions, sequence } from "../positions.ts";
import type { PortableTensor } from "../value.ts";
import { refuseF64, rounded, wide } from "./widening.ts";

/**
 * scores = q · kᵀ as (k · qᵀ)ᵀ, whose inner loop reads keys as they lie in the cache. The queries of the heads that
 * share a key head are one matrix: [B·Hk, G·S, D]. Of caches, the filled rows alone are read.
 */
function attention(e: Emitter, node: Node): PortableTensor {
  const q = wide(e, e.tensor(node.arg("q")));
  const [batch, heads, length, width] = q.shape as readonly [Dim, number, Dim, number];
  const keyHeads = node.arg("k").type.shape[1] as number;
  const matrices = multiplyDims(batch, keyHeads);
  const queries = multiplyDims(length, heads / keyHeads);
  const keys = filledKeys(node);
  const k = filledRows(e, node, "k", matrices, keys);
  const v = filledRows(e, node, "v", matrices, keys);

  const factor = { double: node.attrs.scale as number };
  const scaled = e.op("aten::mul.Scalar_out", { self: q, other: factor }, q);
  const rows = e.permute(e.view(scaled, [matrices, queries, width]), [0, 2, 1]);
  const products = e.op("aten::bmm.out", { self: k, mat2: rows }, f32([matrices, keys, queries]));
  const scores = e.view(e.permute(products, [0, 2, 1]), [batch, heads, length, keys]);
  const weights = e.view(visibleWeights(e, node, scores), [matrices, queries, keys]);
  const valueWidth = v.shape[2]!;
  const sums = e.op("aten::bmm.out", { self: weights, mat2: v }, f32([matrices, queries, valueWidth]));
  return e.view(sums, [batch, heads, length, valueWidth]);
}

/** How many keys there are: of a cache, those up to the last query's. */
function filledKeys(node: Node): Dim {
  const capacity = node.arg("k").type.shape[2]!;
  const start = node.optional("start_pos");
  return start === undefined
    ? capacity
    : minDims(addDims(startOf(start), node.arg("q").type.shape[2]!), capacity);
}

/** k or v [B, Hk, T, D] as [B·Hk, keys, D]. */
function filledRows(e: Emitter, node: Node, name: "k" | "v", matrices: Dim, keys: Dim): PortableTensor {
  const all = e.tensor(node.arg(name));
  const [, , capacity, width] = all.shape as readonly [Dim, Dim, Dim, Dim];
  const flat = e.view(all, [matrices, capacity, width]);
  return wide(e, dimKey(keys) === dimKey(capacity) ? flat : e.slice(flat, 1, 0, e.size(keys), keys));
}

/** softmax of the scores [B, H, S, T], where what a query does not see counts nothing. */
function visibleWeights(e: Emitter, node: Node, scores: PortableTensor): PortableTensor {
  const mask = node.optional("mask");
  const given = mask && wide(e, maskOf(e, node, e.tensor(mask), scores));
  const capped = softcapped(e, scores, node.attrs.softcap as number);
  const visible = [...orderedVisibility(e, node, scores), ...(given?.dtype === "bool" ? [given] : [])];
  const biased =
    given === undefined || given.dtype === "bool"
      ? capped
      : e.op("aten::add.out", { self: capped, other: given, alpha: 1 }, scores);
  const shown = visible.reduce(
    (all, condition) =>
      e.op(
        "aten::where.self_out",
        { condition, self: all, other: e.number("f32", Number.NEGATIVE_INFINITY) },
        scores,
      ),
    biased,
  );
  const weights = e.op("aten::_softmax.out", { self: shown, dim: -1, half_to_float: false }, scores);
  return mask === undefined && seesItself(node) ? weights : zerosWhereBlind(e, shown, weights);
}

/** Whether each query sees one key at least, its own. */
const seesItself = (node: Node): boolean => {
  const [length, keys] = [node.arg("q").type.shape[2]!, node.arg("k").type.shape[2]!];
  return (
    node.optional("start_pos") !== undefined || dimKey(length) === dimKey(keys) || node.attrs.causal !== true
  );
};

/** The mask for the keys that there are. */
function maskOf(e: Emitter, node: Node, mask: PortableTensor, scores: PortableTensor): PortableTensor {
  const [capacity, keys] = [node.arg("k").type.shape[2]!, scores.shape[3]!];
  const last = mask.shape.length - 1;
  if (dimKey(capacity) === dimKey(keys) || mask.shape[last] === 1) return mask;
  return e.slice(mask, last, 0, e.size(keys), keys);
}

function softcapped(e: Emitter, scores: PortableTensor, cap: number): PortableTensor {
  if (cap === 0) return scores;
  const ratio = e.op("aten::div.Scalar_out", { self: scores, other: { double: cap } }, scores);
  const bounded = e.op("aten::tanh.out", { self: ratio }, scores);
  return e.op("aten::mul.Scalar_out", { self: bounded, other: { double: cap } }, scores);
}

/** bool [S, T]: the keys that causal and windowed attention shows. Layers share them. */
function orderedVisibility(e: Emitter, node: Node, scores: PortableTensor): readonly PortableTensor[] {
  const length = node.arg("q").type.shape[2]!;
  const [, , , keys] = scores.shape as readonly [Dim, Dim, Dim, Dim];
  const window = node.attrs.window as number;
  if (node.attrs.causal !== true && window === 0) return [];
  const start = node.optional("start_pos");
  const of =
    start === undefined ? sequence(e, subtractDims(keys, length), length) : positions(e, start, length);
  const all = sequence(e, 0, keys);
  const shape = [of.shape[0]!, all.shape[0]!];
  const column = e.once(`column ${of.id}`, () =>
    e.op("aten::unsqueeze_copy.out", { self: of, dim: 1 }, { dtype: "i64", shape: [of.shape[0]!, 1] }),
  );
  const bool = { dtype: "bool", shape } as const;
  const conditions: PortableTensor[] = [];
  if (node.attrs.causal === true)
    conditions.push(
      e.once(`causal ${column.id} ${all.id}`, () =>
        e.op("aten::le.Tensor_out", { self: all, other: column }, bool),
      ),
    );
  if (window > 0)
    conditions.push(
      e.once(`window ${window} ${column.id} ${all.id}`, () => {
        const before = e.op("aten::sub.Scalar_out", { self: column, other: window, alpha: 1 }, column);
        return e.op("aten::gt.Tensor_out", { self: all, other: before }, bool);
      }),
    );
  return conditions;
}

/** A softmax over nothing but -∞ is NaN; a query that sees no key is to give zeros. */
function zerosWhereBlind(e: Emitter, scores: PortableTensor, weights: PortableTensor): PortableTensor {
  const row = scores.shape.with(-1, 1);
  const largest = e.op("aten::amax.out", { self: scores, dim: [-1], keepdim: true }, f32(row));
  const condition = e.op(
    "aten::eq.Scalar_out",
    { self: largest, other: { double: Number.NEGATIVE_INFINITY } },
    { dtype: "bool", shape: row },
  );
  return e.op("aten::where.self_out", { condition, self: e.number("f32", 0), other: weights }, scores);
}

function refuseAttention(node: Node): string | undefined {
  const heads = [node.arg("q").type.shape[1]!, node.arg("k").type.shape[1]!];
  if (heads.some(isSymbolic)) return "the numbers of heads must be known";
  return refuseStart(node);
}

/** Rows of caches are counted with sizes, and these follow from an input that is start_pos itself. */
export const refuseStart = (node: Node): string | undefined => {
  const start = node.optional("start_pos");
  return start !== undefined && start.contents?.length !== 1
    ? "start_pos must be known as a size"
    : undefined;
};

/** Writes rows into a cache [B, H, C, D], seen as [B·H, C, D], at positions from start_pos on. */
function updateCache(e: Emitter, node: Node): PortableTensor {
  const cache = e.tensor(node.arg("cache"));
  const rows = e.tensor(node.arg("new"));
  const flat = (x: PortableTensor) => {
    const [batch, heads, length, width] = x.shape as readonly [Dim, Dim, Dim, Dim];
    return e.view(x, [multiplyDims(batch, heads), length, width]);
  };
  const index = checkedPositions(e, node, cache.shape[2] as number);
  const args = { self: flat(cache), indices: [undefined, index], values: flat(rows), accumulate: false };
  e.inPlace("aten::index_put_", args);
  return cache;
}

/** The kernel that writes does not look whether there are such rows; the one that chooses from a list of them does. */
function checkedPositions(e: Emitter, node: Node, capacity: number): PortableTensor {
  const index = positions(e, node.arg("start_pos"), node.arg("new").type.shape[2]!);
  return e.once(`rows ${index.id} of ${capacity}`, () => {
    const rows = e.constant(memoryWeight(tensor("i64", [capacity], [...Array(capacity).keys()])));
    return e.op("aten::index_select.out", { self: rows, dim: 0, index }, index);
  });
}

const refuseCache = (node: Node): string | undefined =>
  !isStatic(node.arg("cache").type.shape)
    ? "the size of the cache must be known"
    : node.arg("cache").def.kind === "state" || node.arg("cache").node?.op === "kv.update"
      ? undefined
      : "only a cache that is kept between calls can be written to";

export const attentionOps = {
  "nn.sdpa": rounded(attention, firstOf(refuseF64("q", "k", "v", "mask"), refuseAttention)),
  "kv.update": one(updateCache, firstOf(refuseStart, refuseCache)),
} satisfies Record<string, Decomposition>;
