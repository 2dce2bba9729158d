import type { Node } from "../../../ir/graph.ts";
import { alignUp } from "../../../tensor/align.ts";
import { type Dim, isSymbolic, maxOf, sameDim } from "../../../tensor/dim.ts";
import type { CachedAttention } from "../../cached-attention.ts";
import { startOf } from "../../sizes.ts";
import { mostBufferElements } from "../constants.ts";
import type { Emitter } from "../emitter.ts";
import type { VulkanLowering } from "../lowering.ts";
import type { VulkanTensor } from "../value.ts";
import { filledWeight } from "../weights.ts";

interface Attention {
  readonly node: Node;
  /** New rows of keys and of values, [1, S, Hk, D]. */
  readonly key: VulkanTensor;
  readonly value: VulkanTensor;
  /** Positions that caches have room for. */
  readonly capacity: number;
  readonly start: Dim;
}

/**
 * Writes rows of keys and values to caches of the op's own and attends to all up to each query's. The data of caches is
 * nothing but zeros, so that the program holds them once, whatever layer they are of.
 */
function attend(e: Emitter, { node, key, value, capacity, start }: Attention): void {
  const query = e.swapped(node.arg("q"));
  const zeros = filledWeight([1, capacity, ...(key.shape.slice(2) as number[])], 0);
  const result = e.op(
    "sdpa_with_kv_cache.default",
    {
      query: scaled(e, query, node.attrs.scale as number),
      key,
      value,
      key_cache: e.ownConstant(zeros),
      value_cache: e.ownConstant(zeros),
      start_pos: e.size(start),
      seq_len: e.size(node.arg("q").type.shape[2]!),
      attn_mask: undefined,
      dropout_p: undefined,
      is_causal: undefined,
      scale: undefined,
    },
    query,
  );
  e.bindSwapped(node.results[0]!, result);
}

/** The op divides scores by √D, whatever the model does. */
function scaled(e: Emitter, query: VulkanTensor, scale: number): VulkanTensor {
  const factor = Math.fround(scale * Math.sqrt(query.shape[3] as number));
  if (Math.abs(factor - 1) < 2 ** -22) return query;
  return e.op("aten.mul.Tensor", { self: query, other: e.number(factor) }, query);
}

/** Attention over the caches of a model. */
export function attendCached(e: Emitter, { attention, updates, caches }: CachedAttention): void {
  const [key, value] = updates.map((update) => e.swapped(update.arg("new")));
  attend(e, {
    node: attention,
    key: key!,
    value: value!,
    capacity: caches[0].type.shape[2] as number,
    start: startOf(attention.optional("start_pos")),
  });
}

/** Why the op cannot be this attention, which is one that `cachedAttentions` found. */
export function refuseCached({ attention, caches }: CachedAttention, bounded: (size: Dim) => Dim) {
  return refuseSizes(attention, caches[0].type.shape[2] as number, bounded);
}

function refuseSizes(node: Node, capacity: number, bounded: (size: Dim) => Dim): string | undefined {
  const [, heads, length, width] = node.arg("q").type.shape as readonly [Dim, number, Dim, number];
  if (width % 4 !== 0) return `sdpa_with_kv_cache reads heads by fours, and they have ${width} elements`;
  const scores = heads * alignUp(maxOf(bounded(length)), 4) * alignUp(capacity, 4);
  return scores >= mostBufferElements
    ? `the scores of ${heads} heads, ${maxOf(bounded(length))} tokens and ${capacity} positions are more than the ${mostBufferElements} elements that a buffer of ExecuTorch's has`
    : undefined;
}

/** Without caches, all tokens of a sequence come in one call: attention over caches, from position 0 on. */
function attendAtOnce(e: Emitter, node: Node): void {
  attend(e, {
    node,
    key: e.swapped(node.arg("k")),
    value: e.swapped(node.arg("v")),
    capacity: maxOf(e.bounded(node.arg("k").type.shape[2]!)),
    start: 0,
  });
}

function refuseAttention(node: Node): string | undefined {
  const { causal, softcap, window } = node.attrs;
  const [batch, heads, length, width] = node.arg("q").type.shape as readonly [Dim, Dim, Dim, Dim];
  const [, keyHeads, keys] = node.arg("k").type.shape as readonly [Dim, Dim, Dim];
  if (node.optional("start_pos") !== undefined)
    return "sdpa_with_kv_cache writes and reads caches of its own, which nothing else uses";
  if (causal !== true || node.optional("mask") !== undefined || window !== 0 || softcap !== 0)
    return "sdpa_with_kv_cache is causal, without a mask, a window or a cap";
  if (batch !== 1) return "sdpa_with_kv_cache takes one sequence";
  if ([heads, keyHeads, width].some(isSymbolic)) return "the numbers of heads and their width must be known";
  if (!sameDim(length, keys)) return "sdpa_with_kv_cache takes as many keys as queries";
  const valueWidth = node.arg("v").type.shape[3]!;
  if (!sameDim(width, valueWidth)) return "sdpa_with_kv_cache takes keys and values of one width";
  return refuseSizes(node, maxOf(keys), (size) => size);
}

export const attention = {
  "nn.sdpa": { emit: attendAtOnce, refuse: refuseAttention, isHeavy: true },
} satisfies Record<string, VulkanLowering>;
