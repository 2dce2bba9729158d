import type { Node, Value } from "../../../ir/graph.ts";
import { addDims, type Dim, maxOf, multiplyDims } from "../../../tensor/dim.ts";
import { type BoundRows, cacheRows, type HeadNorm, type Rotary } from "../attention.ts";
import { attentionCombine } from "../kernels/attention-combine/kernel.ts";
import { attentionDecode } from "../kernels/attention-decode/kernel.ts";
import { chunkFor, partialsSize } from "../kernels/attention-decode/params.ts";
import { attentionPrefill } from "../kernels/attention-prefill/kernel.ts";
import { rmsNorm } from "../kernels/rms-norm/kernel.ts";
import { ropeCache } from "../kernels/rope-cache/kernel.ts";
import { type AttentionMatch, type Heads, matchAttention } from "./attention-match.ts";
import {
  maskOf,
  nameBindings,
  packedRows,
  positionOf,
  rotaryOf,
  type ScoringAttributes,
} from "./attention-parts.ts";
import type { Slice } from "./buffers.ts";
import type { Emitter, RowsOf } from "./emitter.ts";
import type { Lowering } from "./group.ts";

/** A decoder's attention, from the projections' results to the rows that the next projection takes. */
export const attention: Lowering = {
  name: "attention",
  doc: "Split into heads, [norm,] rotation, cache update, attention, heads side by side: two dispatches, for one token as for several.",
  match(node, matching) {
    if (node.op !== "nn.sdpa") return undefined;
    const found = matchAttention(node, matching);
    if (found === undefined) return undefined;
    const { query, key, value, nodes } = found;
    return {
      name: "attention",
      nodes,
      takesRows: new Set([query.source, key.source, value.source]),
      emit: (emitter) => emitAttention(emitter, found),
    };
  },
};

/** What the kernels are told about one attention in one schedule. */
interface Parts {
  readonly match: AttentionMatch;
  readonly tokens: Dim;
  /** P; 0 where nothing is kept from call to call. */
  readonly start: Dim;
  readonly heads: {
    readonly queryHeads: number;
    readonly keyHeads: number;
    readonly width: number;
    readonly valueWidth: number;
  };
  /** Rows of the memory that keys and values are put into. */
  readonly capacity: number;
  readonly caches: { readonly key_cache: Slice; readonly value_cache: Slice };
  readonly rope: Rotary | undefined;
  readonly norm: HeadNorm | undefined;
  readonly rows: Readonly<Record<"query" | "key" | "value", BoundRows>>;
  /** The bindings of rows and constants. */
  readonly bindings: Readonly<Record<string, Slice>>;
}

function emitAttention(emitter: Emitter, match: AttentionMatch): void {
  const parts = partsOf(emitter, match);
  const isDecode =
    parts.tokens === 1 && match.updates !== undefined && match.sdpa.optional("mask") === undefined;
  if (isDecode) emitDecode(emitter, parts);
  else emitPrefill(emitter, parts);
}

function partsOf(emitter: Emitter, match: AttentionMatch): Parts {
  const { query, key, value, updates } = match;
  const tokens = emitter.rowCount(query.source);
  // Three buffers of rows and two norms are more than a shader may bind.
  const isJoined = emitter.rows(query.source).slice.memory === emitter.rows(key.source).slice.memory;
  const rowsOf = new Map(
    [query, key, value].map((heads) => [
      heads,
      heads.norm === undefined || isJoined
        ? emitter.rows(heads.source)
        : emitHeadNorm(emitter, heads, heads.norm),
    ]),
  );
  const capacity = updates ? (updates.key.arg("cache").type.shape[2] as number) : maxOf(tokens);
  const cacheOf = (update: Node | undefined, { heads, width }: Heads): Slice =>
    update ? emitter.read(update.arg("cache")) : emitter.scratch(heads, capacity, width);
  const named = nameBindings({ query, key, value }, (heads) => rowsOf.get(heads)!.slice.memory, {
    query: "q",
    key: "k",
    value: "v",
  });
  const boundOf = (name: "query" | "key" | "value"): BoundRows => {
    const { stride, offset } = rowsOf.get(match[name])!;
    return { binding: named[name], tokenStride: stride, headStride: match[name].width, offset };
  };
  const constants = (values: Readonly<Record<string, Value | undefined>>) =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, constant]) =>
        constant ? [[name, emitter.read(constant)]] : [],
      ),
    );
  return {
    match,
    tokens,
    start: updates ? emitter.size(positionOf(updates.key)) : 0,
    heads: {
      queryHeads: query.heads,
      keyHeads: key.heads,
      width: query.width,
      valueWidth: value.width,
    },
    capacity,
    caches: { key_cache: cacheOf(updates?.key, key), value_cache: cacheOf(updates?.value, value) },
    rope: rotaryOf(emitter, key.rope),
    norm: isJoined && key.norm ? { eps: key.norm.attrs.eps as number } : undefined,
    rows: { query: boundOf("query"), key: boundOf("key"), value: boundOf("value") },
    bindings: {
      ...Object.fromEntries(
        (["query", "key", "value"] as const).map((name) => [named[name], rowsOf.get(match[name])!.slice]),
      ),
      ...constants({
        cos: key.rope?.arg("cos"),
        sin: key.rope?.arg("sin"),
        ...(isJoined && { q_norm: query.norm?.arg("scale"), k_norm: key.norm?.arg("scale") }),
      }),
    },
  };
}

/** The norm of each head in a dispatch of its own. */
function emitHeadNorm(emitter: Emitter, { source, heads, width }: Heads, norm: Node): RowsOf {
  const rows = multiplyDims(emitter.rowCount(source), heads);
  const out = emitter.scratch(rows, width);
  const bindings = { x: emitter.read(source), scale: emitter.read(norm.arg("scale")), out };
  emitter.dispatch(rmsNorm, { rows, width, eps: norm.attrs.eps as number }, bindings, norm);
  return { slice: out, stride: heads * width, offset: 0 };
}

/** One token after others: each workgroup attends to a part of the context, and a second dispatch joins the parts. */
function emitDecode(
  emitter: Emitter,
  { match, start, heads, capacity, caches, rope, norm, rows, bindings }: Parts,
): void {
  const { sdpa, result } = match;
  const { scale, softcap, window } = sdpa.attrs as unknown as ScoringAttributes;
  const chunk = chunkFor(emitter.target);
  const params = { ...heads, start, chunk, capacity, rope, norm, ...rows, scale, softcap, window };
  const partials = emitter.scratch(partialsSize(params));
  emitter.dispatch(attentionDecode, params, { ...bindings, ...caches, partials }, sdpa);
  const joined = { start, window, chunk, queryHeads: heads.queryHeads, valueWidth: heads.valueWidth };
  emitter.dispatch(attentionCombine, joined, { partials, out: emitter.define(result) }, sdpa);
}

/** Several tokens: keys and values go to the caches first, and queries to memory of their own. */
function emitPrefill(
  emitter: Emitter,
  { match, tokens, start, heads, capacity, caches, rope, norm, rows, bindings }: Parts,
): void {
  const { sdpa, result } = match;
  const { queryHeads, width, valueWidth } = heads;
  const { scale, softcap, window, causal } = sdpa.attrs as unknown as ScoringAttributes;
  const rotated = emitter.scratch(tokens, queryHeads * width);
  const query = packedRows(queryHeads, width);
  emitter.dispatch(
    ropeCache,
    { ...heads, tokens, start, capacity, rope, norm, ...rows, query: { from: rows.query, to: query } },
    { ...bindings, ...caches, out: rotated },
    sdpa,
  );
  const mask = maskOf(emitter, sdpa);
  emitter.dispatch(
    attentionPrefill,
    {
      ...heads,
      tokens,
      keys: addDims(start, tokens),
      first: start,
      causal,
      scale,
      softcap,
      window,
      query: { binding: "q", ...query },
      key: cacheRows("key_cache", capacity, width),
      value: cacheRows("value_cache", capacity, valueWidth),
      out: packedRows(queryHeads, valueWidth),
      mask: mask?.params,
    },
    { q: rotated, ...caches, ...mask?.bindings, out: emitter.define(result) },
    sdpa,
  );
}
