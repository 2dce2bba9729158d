import type { Builder, Value } from "../../../ir/graph.ts";
import {
  castTo,
  literal,
  rankOf,
  reshapeTo,
  shapeOf,
  sizeOf,
  sliceAxis,
  transposeTo,
} from "../../../ir/shorthand.ts";
import { addDims, type Dim, floorDivideDims, multiplyDims, sameDim } from "../../../tensor/dim.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { has, wanted } from "./arguments.ts";
import { scaleOf } from "./attention.ts";
import { MicrosoftRotaryEmbedding, rotaryRows, rotate } from "./rotary.ts";
import {
  appendRows,
  attend,
  lengthMask,
  mergeHeads,
  positionsAfter,
  splitHeads,
} from "./scaled-dot-product.ts";

type Triple = readonly [q: Value, k: Value, v: Value];

/** Consecutive parts of one axis. */
function parts(b: Builder, x: Value, axis: number, sizes: readonly [Dim, Dim, Dim]): Triple {
  const [first, second] = [sizes[0], addDims(sizes[0], sizes[1])];
  return [
    sliceAxis(b, x, axis, 0, first),
    sliceAxis(b, x, axis, first, second),
    sliceAxis(b, x, axis, second, addDims(second, sizes[2])),
  ];
}

/** Reports each of the node's settings that asks for more than is done. */
function refuse(context: ImportContext, extras: Readonly<Record<string, boolean>>): void {
  const found = Object.entries(extras).flatMap(([name, isUsed]) => (isUsed ? [name] : []));
  if (found.length > 0)
    context.unsupported(`${found.join(", ")} ${found.length > 1 ? "are" : "is"} not supported`);
}

/**
 * query [B, S, H·D] (or q, k and v side by side), key?, value? [B, S, Hk·D], past_key?, past_value? [B, Hk, P, D],
 * seqlens_k, total_sequence_length, cos?, sin? [T, R/2], position_ids? [B, S], attention_bias?, head_sink?, k_scale?,
 * v_scale?, q_norm_weight?, k_norm_weight? [D]. The new rows follow the P rows of the past; the lengths that the
 * node is given are not looked at, since they say the same.
 */
const GroupQueryAttention: Importer = (context) => {
  const { b } = context;
  refuse(context, {
    "smooth softmax": context.int("smooth_softmax", 0) === 1 || has(context, 11),
    "a quantised cache": [12, 13].some((i) => has(context, i)) || context.int("kv_cache_bit_width", 0) !== 0,
    "a cache as short as the window": context.int("sliding_window_cache", 0) === 1,
    "the output of q·kᵀ": context.int("qk_output", 0) !== 0,
  });
  const [heads, keyHeads] = [context.int("num_heads"), context.int("kv_num_heads")];
  const [flatQ, flatK, flatV] = groupedInputs(context, heads, keyHeads);
  const past = context.optional(3);
  const pastLength = past ? sizeOf(past, 2) : 0;
  const placed = rotationOf(context, pastLength, sizeOf(flatQ, 1));
  const q = placed(perHeadNorm(context, splitHeads(b, flatQ, heads), 14));
  const k = appendRows(b, past, placed(perHeadNorm(context, splitHeads(b, flatK, keyHeads), 15)));
  const v = appendRows(b, context.optional(4), splitHeads(b, flatV, keyHeads));
  const causal = context.int("causal", 1) === 1;
  const window = context.int("local_window_size", -1);
  const result = attend(b, {
    q,
    k,
    v,
    mask: context.optional(10),
    visibility: { offset: pastLength, causal, left: causal && window > 0 ? window - 1 : -1, right: -1 },
    scale: scaleOf(context, q),
    softcap: context.float("softcap", 0),
  });
  return wanted(context, mergeHeads(b, result), k, v);
};

function groupedInputs(context: ImportContext, heads: number, keyHeads: number): Triple {
  const query = context.input(0);
  if (has(context, 1)) return [query, context.input(1), context.input(2)];
  const width = floorDivideDims(sizeOf(query, 2), heads + 2 * keyHeads);
  const [q, k] = [multiplyDims(width, heads), multiplyDims(width, keyHeads)];
  return parts(context.b, query, 2, [q, k, k]);
}

/** RMS norm of each head [B, H, S, D], if the node has the weight. */
function perHeadNorm(context: ImportContext, x: Value, index: number): Value {
  const scale = context.optional(index);
  return scale ? context.b("nn.rms_norm", { x, scale }, { eps: context.float("qk_norm_epsilon", 1e-6) }) : x;
}

/** How q and k [B, H, S, D] are rotated, if they are. */
function rotationOf(context: ImportContext, past: Dim, length: Dim): (x: Value) => Value {
  const { b } = context;
  if (context.int("do_rotary", 0) === 0) return (x) => x;
  const given = context.optional(9);
  const positions = given ? castTo(b, given, "i64") : positionsAfter(b, past, length);
  const rows = rotaryRows(b, context.input(7), context.input(8), positions);
  const interleaved = context.int("rotary_interleaved", 0) === 1;
  return (x) => rotate(b, x, rows, interleaved);
}

/**
 * query [B, S, H·D], key?, value? [B, T, H·D] or [B, H, T, D]; or query [B, S, H, 3, D] alone; or key [B, T, H, 2, D].
 * Then bias?, key_padding_mask?, attention_bias?, past_key?, past_value? [B, H, P, D].
 */
const MultiHeadAttention: Importer = (context) => {
  const { b } = context;
  refuse(context, { "a shared cache": has(context, 8), "beam search": has(context, 9) });
  const heads = context.int("num_heads");
  const past = context.optional(6);
  const [q, newK, newV] = withBias(context, separateHeads(context, heads), heads);
  const k = appendRows(b, past, newK);
  const v = appendRows(b, context.optional(7), newV);
  const padding = context.optional(4);
  const bias = context.optional(5);
  const mask = padding ? addedMask(context, q, k, padding, bias) : bias;
  const causal = context.int("unidirectional", 0) === 1;
  const visibility = { offset: past ? sizeOf(past, 2) : 0, causal, left: -1, right: -1 };
  const result = attend(b, { q, k, v, mask, visibility, scale: scaleOf(context, q), softcap: 0 });
  return wanted(context, mergeHeads(b, result), k, v);
};

/** q, k and v as [B, H, S, D]. */
function separateHeads(context: ImportContext, heads: number): Triple {
  const { b } = context;
  const query = context.input(0);
  /** Part `i` of [B, S, H, n, D] */
  const part = (packed: Value, i: number): Value => {
    const [batch, length, count, , width] = shapeOf(packed) as [Dim, Dim, Dim, Dim, Dim];
    return transposeTo(
      b,
      reshapeTo(b, sliceAxis(b, packed, 3, i, i + 1), [batch, length, count, width]),
      [0, 2, 1, 3],
    );
  };
  const key = context.optional(1);
  if (key === undefined) return [part(query, 0), part(query, 1), part(query, 2)];
  const q = splitHeads(b, query, heads);
  if (rankOf(key) === 5) return [q, part(key, 0), part(key, 1)];
  const [k, v] = [key, context.input(2)].map((x) => (rankOf(x) === 4 ? x : splitHeads(b, x, heads)));
  return [q, k!, v!];
}

/** Adds the bias [H·D + H·D + H·Dv], which was left over from the projections. */
function withBias(context: ImportContext, qkv: Triple, heads: number): Triple {
  const { b } = context;
  const bias = context.optional(3);
  if (bias === undefined) return qkv;
  const widths = qkv.map((x) => multiplyDims(sizeOf(x, 3), heads)) as [Dim, Dim, Dim];
  const [q, k, v] = parts(b, bias, 0, widths).map((part, i) => {
    const perHead = reshapeTo(b, part, [heads, 1, sizeOf(qkv[i]!, 3)]);
    return b("add", { a: qkv[i]!, b: perHead });
  });
  return [q!, k!, v!];
}

/** A padding mask (nonzero: see) as a float mask: hidden keys get the node's filter value, which adds to the bias. */
function addedMask(
  context: ImportContext,
  q: Value,
  k: Value,
  padding: Value,
  bias: Value | undefined,
): Value {
  const { b } = context;
  const { dtype } = q.type;
  const filter = literal(b, dtype, context.float("mask_filter_value", -10000));
  const visible = visibleKeys(context, q, k, padding);
  const added = b("where", { condition: visible, a: literal(b, dtype, 0), b: filter });
  return bias ? b("add", { a: added, b: bias }) : added;
}

/** bool [B, 1, 1 or S, T] from lengths [B] or a mask [B, T] or [B, S, T]. */
function visibleKeys(context: ImportContext, q: Value, k: Value, padding: Value): Value {
  const { b } = context;
  const [batch, ...rest] = shapeOf(padding) as [Dim, ...Dim[]];
  if (rest.length === 0 && sameDim(batch, sizeOf(q, 0))) return lengthMask(b, padding, sizeOf(k, 2));
  if (rest.length !== 1 && rest.length !== 2)
    context.unsupported("a padding mask of this shape is not supported");
  const shape = rest.length === 1 ? [batch, 1, 1, rest[0]!] : [batch, 1, ...rest];
  return reshapeTo(b, castTo(b, padding, "bool"), shape);
}

/**
 * input [B, S, K], weights [K, H·D + H·D + H·Dv], bias?, mask_index?, past? [2, B, H, P, D], attention_bias?.
 * Results: [B, S, H·Dv], present? [2, B, H, P + S, D].
 */
const Attention: Importer = (context) => {
  const { b } = context;
  refuse(context, {
    "a shared cache": context.int("past_present_share_buffer", 0) === 1,
    "rotary embedding": context.int("do_rotary", 0) === 1,
  });
  const heads = context.int("num_heads");
  const bias = context.optional(2);
  const product = b("matmul", { a: context.input(0), b: context.input(1) });
  const projected = bias ? b("add", { a: product, b: bias }) : product;
  const third = floorDivideDims(sizeOf(projected, 2), 3);
  const widths = (context.ints("qkv_hidden_sizes") ?? [third, third, third]) as [Dim, Dim, Dim];
  const [q, newK, newV] = parts(b, projected, 2, widths).map((x) => splitHeads(b, x, heads)) as [
    Value,
    Value,
    Value,
  ];
  const past = context.optional(4);
  const cached = (i: number): Value | undefined =>
    past && reshapeTo(b, sliceAxis(b, past, 0, i, i + 1), shapeOf(past).slice(1));
  const [k, v] = [appendRows(b, cached(0), newK), appendRows(b, cached(1), newV)];
  const padding = context.optional(3);
  const scores = context.optional(5);
  const mask = padding ? addedMask(context, q, k, padding, scores) : scores;
  const causal = context.int("unidirectional", 0) === 1;
  const visibility = { offset: past ? sizeOf(past, 3) : 0, causal, left: -1, right: -1 };
  const result = attend(b, { q, k, v, mask, visibility, scale: scaleOf(context, q), softcap: 0 });
  const stacked = (): Value => {
    const layers = [k, v].map((x) => reshapeTo(b, x, [1, ...shapeOf(x)]));
    return b("concat", { inputs: layers }, { axis: 0 });
  };
  return wanted(context, mergeHeads(b, result), stacked);
};

export const microsoftAttentionImporters: ImporterTable = {
  Attention,
  GroupQueryAttention,
  MultiHeadAttention,
  RotaryEmbedding: MicrosoftRotaryEmbedding,
};
