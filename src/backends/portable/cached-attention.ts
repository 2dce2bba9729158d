import { type CachedAttention, swapAxes } from "../cached-attention.ts";
import { startOf } from "../sizes.ts";
import type { Emitter } from "./emitter.ts";
import type { PortableTensor } from "./value.ts";

/** @returns the attention of q [1, H, S, D] in the same shape */
export function emitCachedAttention(
  e: Emitter,
  { attention, updates, caches }: CachedAttention,
): PortableTensor {
  const query = e.permute(e.tensor(attention.arg("q")), swapAxes);
  const [key, value] = updates.map((update) => e.permute(e.tensor(update.arg("new")), swapAxes));
  const [key_cache, value_cache] = caches.map((cache) => e.tensor(cache));
  const scale = attention.attrs.scale as number;
  const natural = 1 / Math.sqrt(query.shape[3] as number);
  const result = e.op(
    "llama::sdpa_with_kv_cache.out",
    {
      query,
      key: key!,
      value: value!,
      key_cache: key_cache!,
      value_cache: value_cache!,
      start_pos: e.size(startOf(attention.optional("start_pos"))),
      seq_len: e.size(attention.arg("q").type.shape[2]!),
      attn_mask: undefined,
      dropout_p: { double: 0 },
      is_causal: true,
      scale: Math.fround(scale) === Math.fround(natural) ? undefined : { double: scale },
    },
    query,
  );
  return e.permute(result, swapAxes);
}
