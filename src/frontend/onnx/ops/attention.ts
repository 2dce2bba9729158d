import type { Builder, Value } from "../../../ir/graph.ts";
import { castTo, rankOf, reshapeTo, sizeOf } from "../../../ir/shorthand.ts";
import type { Dim } from "../../../tensor/dim.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { dtypeAttribute, wanted, wants } from "./arguments.ts";
import { RotaryEmbedding } from "./rotary.ts";
import {
  type AttentionInputs,
  appendRows,
  attend,
  attendInSteps,
  combineMasks,
  lengthMask,
  mergeHeads,
  naturalScale,
  padMask,
  splitHeads,
  type Visibility,
} from "./scaled-dot-product.ts";

/** The node's scale, or 1/√D of q [B, H, S, D]. */
export function scaleOf(context: ImportContext, q: Value): number {
  const given = context.float("scale", 0);
  if (given !== 0) return given;
  const width = sizeOf(q, 3);
  if (typeof width !== "number") return context.unsupported("the size of a head must be known");
  return naturalScale(width);
}

/**
 * ai.onnx Attention: Q, K, V [B, H, S, D] or [B, S, H·D], attn_mask?, past_key?, past_value?, nonpad_kv_seqlen?.
 * Query i is at position i + offset, where offset is what the cache holds before the queries: the length of
 * past_key, or nonpad_kv_seqlen - S, or 0.
 */
const Attention: Importer = (context) => {
  const { b } = context;
  const isFlat = rankOf(context.input(0)) === 3;
  const heads = (index: number, attribute: string): Value =>
    isFlat ? splitHeads(b, context.input(index), context.int(attribute)) : context.input(index);
  const q = heads(0, "q_num_heads");
  const past = context.optional(4);
  const k = appendRows(b, past, heads(1, "kv_num_heads"));
  const v = appendRows(b, context.optional(5), heads(2, "kv_num_heads"));
  const lengths = context.optional(6);
  const keys = sizeOf(k, 2);
  const given = context.optional(3);
  const visibility: Visibility = {
    offset: lengths ? offsetsOf(b, lengths, sizeOf(q, 2)) : past ? sizeOf(past, 2) : 0,
    causal: context.int("is_causal", 0) === 1,
    left: context.int("left_window_size", -1),
    right: context.int("right_window_size", -1),
  };
  const inputs: AttentionInputs = {
    q,
    k,
    v,
    mask: combineMasks(b, given && padMask(b, given, keys), lengths && lengthMask(b, lengths, keys)),
    visibility,
    scale: scaleOf(context, q),
    softcap: context.float("softcap", 0),
  };
  const laidOut = (result: Value): Value => (isFlat ? mergeHeads(b, result) : result);
  if (!wants(context, 3)) return wanted(context, laidOut(attend(b, inputs)), k, v, k);
  const precision = context.node.attributes.has("softmax_precision")
    ? dtypeAttribute(context, "softmax_precision")
    : q.type.dtype;
  const steps = attendInSteps(b, inputs, precision);
  const mode = context.int("qk_matmul_output_mode", 0);
  const reported =
    [steps.scores, steps.capped, steps.masked, steps.probabilities][mode] ??
    context.unsupported(`qk_matmul_output_mode ${mode} is not known`);
  return wanted(context, laidOut(steps.result), k, v, reported);
};

/** i64 [B, 1, 1, 1]: keys before the queries in a cache whose first `lengths` [B] rows are in use. */
function offsetsOf(b: Builder, lengths: Value, queries: Dim): Value {
  const column = reshapeTo(b, castTo(b, lengths, "i64"), [sizeOf(lengths, 0), 1, 1, 1]);
  return b("sub", { a: column, b: b.dims(queries) });
}

export const attentionImporters: ImporterTable = { Attention, RotaryEmbedding };
