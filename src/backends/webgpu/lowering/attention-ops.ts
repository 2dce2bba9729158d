import type { Node, Value } from "../../../ir/graph.ts";
import { addDims, type Dim, subtractDims } from "../../../tensor/dim.ts";
import { cacheRows } from "../attention.ts";
import { attentionPrefill } from "../kernels/attention-prefill/kernel.ts";
import { rope as ropeKernel } from "../kernels/rope/kernel.ts";
import { ropeCache } from "../kernels/rope-cache/kernel.ts";
import {
  maskOf,
  nameBindings,
  positionOf,
  rotaryOf,
  rowsByHead,
  type ScoringAttributes,
} from "./attention-parts.ts";
import type { Emitter } from "./emitter.ts";
import { groupOfOne, type Lowering } from "./group.ts";

// The ops of attention one by one, on tensors [1, H, S, D], where nothing recognised the whole.

/** nn.rope. */
export const rope: Lowering = {
  name: "rope",
  doc: "The op on its own: one dispatch.",
  match: (node) =>
    node.op !== "nn.rope"
      ? undefined
      : (refusalOf(node, ["x"]) ??
        groupOfOne("rope", node, (emitter) => {
          const [x, result] = [node.arg("x"), node.results[0]!];
          const { tokens, heads, width } = sizesOf(emitter, x);
          const rows = rowsByHead(tokens, width);
          const params = { tokens, heads, width, rope: rotaryOf(emitter, node)!, x: rows, out: rows };
          const tables = { cos: emitter.read(node.arg("cos")), sin: emitter.read(node.arg("sin")) };
          emitter.dispatch(
            ropeKernel,
            params,
            { x: emitter.read(x), ...tables, out: emitter.define(result) },
            node,
          );
        })),
};

/** kv.update. Its result is the state that it writes. */
export const cacheUpdate: Lowering = {
  name: "cache-update",
  doc: "The op on its own: one dispatch.",
  match: (node) =>
    node.op !== "kv.update"
      ? undefined
      : (refusalOf(node, ["cache", "new"]) ??
        groupOfOne("cache-update", node, (emitter) => {
          const [cache, rows, result] = [node.arg("cache"), node.arg("new"), node.results[0]!];
          const { tokens, heads, width } = sizesOf(emitter, rows);
          const state = emitter.read(cache);
          const params = {
            queryHeads: heads,
            keyHeads: heads,
            width,
            valueWidth: width,
            tokens,
            start: emitter.size(positionOf(node)),
            capacity: cache.type.shape[2] as number,
            query: undefined,
            key: undefined,
            value: { binding: "v" as const, ...rowsByHead(tokens, width) },
            rope: undefined,
            norm: undefined,
          };
          emitter.dispatch(ropeCache, params, { v: emitter.read(rows), value_cache: state }, node);
          emitter.place(result, state);
        })),
};

/** nn.sdpa. */
export const scaledDotProduct: Lowering = {
  name: "scaled-dot-product",
  doc: "The op on its own: one dispatch.",
  match: (node) =>
    node.op !== "nn.sdpa"
      ? undefined
      : (refusalOf(node, ["q", "k", "v"]) ??
        groupOfOne("scaled-dot-product", node, (emitter) => emitScaledDotProduct(emitter, node))),
};

function emitScaledDotProduct(emitter: Emitter, node: Node): void {
  const [q, k, v, result] = [node.arg("q"), node.arg("k"), node.arg("v"), node.results[0]!];
  const query = sizesOf(emitter, q);
  const key = sizesOf(emitter, k);
  const { width: valueWidth } = sizesOf(emitter, v);
  const isCached = node.optional("start_pos") !== undefined;
  const start = emitter.size(positionOf(node));
  const named = nameBindings({ query: q, key: k, value: v }, (value) => emitter.read(value).memory, {
    query: "q",
    key: "k",
    value: "v",
  });
  const rowsOf = (name: "query" | "key" | "value", tokens: Dim, width: number) => ({
    ...(isCached && name !== "query"
      ? cacheRows("key_cache", k.type.shape[2] as number, width)
      : rowsByHead(tokens, width)),
    binding: named[name],
  });
  const { scale, softcap, window, causal } = node.attrs as unknown as ScoringAttributes;
  const mask = maskOf(emitter, node);
  const params = {
    queryHeads: query.heads,
    keyHeads: key.heads,
    width: query.width,
    valueWidth,
    tokens: query.tokens,
    keys: isCached ? addDims(start, query.tokens) : key.tokens,
    first: isCached ? start : subtractDims(key.tokens, query.tokens),
    causal,
    scale,
    softcap,
    window,
    query: rowsOf("query", query.tokens, query.width),
    key: rowsOf("key", key.tokens, query.width),
    value: rowsOf("value", key.tokens, valueWidth),
    out: rowsByHead(query.tokens, valueWidth),
    mask: mask?.params,
  };
  const bindings = {
    [named.query]: emitter.read(q),
    [named.key]: emitter.read(k),
    [named.value]: emitter.read(v),
    ...mask?.bindings,
    out: emitter.define(result),
  };
  emitter.dispatch(attentionPrefill, params, bindings, node);
}

/** Kernels know one sequence, heads and widths that are known, and f32. */
function refusalOf(node: Node, names: readonly string[]): string | undefined {
  for (const name of names) {
    const { dtype, shape } = node.arg(name).type;
    if (dtype !== "f32") return `${name} is ${dtype}, and the kernel is for f32.`;
    if (shape[0] !== 1) return "The kernel is for one sequence at a time.";
    if (typeof shape[1] !== "number" || typeof shape[3] !== "number")
      return `The heads of ${name} are not of a known size.`;
  }
  const start = node.optional("start_pos");
  return start !== undefined && start.contents === undefined
    ? "Its position is computed while the program runs."
    : undefined;
}

function sizesOf(emitter: Emitter, value: Value) {
  const [, heads, tokens, width] = emitter.shape(value) as readonly [Dim, number, Dim, number];
  return { heads, tokens, width };
}
