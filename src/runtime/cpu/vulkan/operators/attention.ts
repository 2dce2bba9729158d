import { attention } from "../../kernels/attention.ts";
import { cachedAttention, updateCache } from "../cached-attention.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import { anything, cache, changed, flag, none, number, optional, resident, size, tensor } from "../kinds.ts";
import { effect, type Faults, type Operators, op } from "../operator.ts";
import { multipleOf, sameFloats, shapeText, widthPacked } from "./checks.ts";

const isOneBatch = (x: GraphTensor, what: string): string | false =>
  !(x.rank === 4 && x.size(0) === 1) && `${what} of ${shapeText(x.bound)} in place of [1, ., ., .]`;

const updateFaults = (rows: GraphTensor, cache: GraphTensor): Faults => [
  ...sameFloats(rows, cache),
  isOneBatch(rows, "rows"),
  isOneBatch(cache, "a cache"),
  rows.bound.slice(2).join() !== cache.bound.slice(2).join() &&
    `rows of ${shapeText(rows.bound)} for a cache of ${shapeText(cache.bound)}`,
  // Elements are read four at a time.
  multipleOf(rows.size(-1), 4, "a head's width"),
];

function attentionFaults(
  q: GraphTensor,
  keys: GraphTensor,
  values: GraphTensor,
  dropout: number | null,
  isCausal: boolean | null,
  out: GraphTensor,
): Faults {
  return [
    ...sameFloats(q, keys, values, out),
    ...[q, keys, values].map((each) => isOneBatch(each, "a query or cache")),
    keys.bound.join() !== values.bound.join() &&
      `keys of ${shapeText(keys.bound)} and values of ${shapeText(values.bound)}`,
    q.size(-1) !== keys.size(-1) && `heads of ${q.size(-1)} and ${keys.size(-1)}`,
    multipleOf(q.size(-1), 4, "a head's width"),
    q.size(-2) % keys.size(-2) !== 0 && `${q.size(-2)} heads for ${keys.size(-2)} of keys`,
    dropout !== null && dropout !== 0 && `the dropout ${dropout}`,
    isCausal === false && "no causal mask",
    widthPacked(q, keys, values),
  ];
}

const options = [none, optional(number), optional(flag), none] as const;

/** Tensors are [B, S, H, D], but for those of `et_vk.sdpa`. */
export const attentionOperators: Operators = {
  "sdpa_with_kv_cache.default": op(
    [tensor, tensor, tensor, cache, cache, size, anything, ...options],
    (q, k, v, keys, values, start) => {
      updateCache(keys.tensor, k, start);
      updateCache(values.tensor, v, start);
      return cachedAttention(q, keys.tensor, values.tensor, start);
    },
    (q, k, v, keys, values, _start, _length, _mask, dropout, isCausal, _scale, out) => [
      ...updateFaults(k, keys),
      ...updateFaults(v, values),
      ...attentionFaults(q, keys, values, dropout, isCausal, out),
    ],
  ),
  "update_cache.default": effect(
    [tensor, changed, size, anything],
    (rows, cache, start) => updateCache(cache.tensor, rows, start),
    (rows, cache) => updateFaults(rows, cache),
  ),
  "llama.custom_sdpa.default": op(
    [tensor, resident, resident, size, ...options],
    (q, keys, values, start) => cachedAttention(q, keys.tensor, values.tensor, start),
    (q, keys, values, _start, _mask, dropout, isCausal, _scale, out) =>
      attentionFaults(q, keys, values, dropout, isCausal, out),
  ),
  "et_vk.sdpa.default": op(
    [tensor, tensor, tensor, optional(tensor), optional(number)],
    (q, k, v, mask, scale) => {
      const attrs = { scale: scale ?? 1 / Math.sqrt(q.shape[3]!), causal: false, softcap: 0, window: 0 };
      return attention({ q, k, v, mask: mask ?? undefined, start_pos: undefined }, attrs)[0]!;
    },
    (q, k, v, mask, _scale, out) => [
      ...sameFloats(q, k, v, mask, out),
      [q, k, v].some(({ rank }) => rank !== 4) && "tensors that are not of 4 axes",
      q.size(-1) !== k.size(-1) && `heads of ${q.size(-1)} and ${k.size(-1)}`,
      k.size(-2) !== v.size(-2) && `${k.size(-2)} keys and ${v.size(-2)} values`,
      [k, v].some((each) => each.size(0) !== q.size(0) || each.size(1) !== q.size(1)) &&
        "different numbers of heads",
      // A row of scores in a buffer is taken to have a multiple of 4 elements.
      out.isBuffer && multipleOf(k.size(-2), 4, "keys in buffers"),
      widthPacked(q, k, v),
    ],
  ),
};
