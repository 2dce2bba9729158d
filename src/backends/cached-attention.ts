import type { Graph, Node, Value } from "../ir/graph.ts";
import { type Dim, isSymbolic, minOf, sameDim } from "../tensor/dim.ts";

/** Causal attention over two caches and the writing of their new rows, which ExecuTorch has as one op. */
export interface CachedAttention {
  readonly attention: Node;
  /** That write keys and values. */
  readonly updates: readonly [Node, Node];
  /** States of keys and values, which that op keeps as [1, C, H, D]. */
  readonly caches: readonly [Value, Value];
}

/** [B, H, S, D] as [B, S, H, D], and back. */
export const swapAxes = [0, 2, 1, 3] as const;
export const swapHeads = (shape: readonly Dim[]): readonly Dim[] => swapAxes.map((axis) => shape[axis]!);

/** The attention that the op computes. Its caches are read and written by nothing else. */
export function cachedAttentions(graph: Graph): readonly CachedAttention[] {
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  const isOnlyFor = (value: Value, node: Node): boolean =>
    !outputs.has(value) && [...value.users].every((user) => user === node);
  return graph.nodes.flatMap((attention) => {
    if (attention.op !== "nn.sdpa" || !isCausalOnly(attention)) return [];
    const updates = [attention.arg("k").node, attention.arg("v").node];
    const [keys, values] = updates;
    if (keys?.op !== "kv.update" || values?.op !== "kv.update" || keys === values) return [];
    const caches = [keys.arg("cache"), values.arg("cache")] as const;
    const isOwn =
      caches[0] !== caches[1] &&
      isSameShape(caches[0].type.shape, caches[1].type.shape) &&
      [keys, values].every(
        (update, i) =>
          caches[i]!.def.kind === "state" &&
          isOnlyFor(caches[i]!, update) &&
          isOnlyFor(update.results[0]!, attention) &&
          hasRowsOf(attention, update),
      );
    return isOwn ? [{ attention, updates: [keys, values] as const, caches }] : [];
  });
}

const isSameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((size, i) => sameDim(size, b[i]!));

/** With start_pos attention is causal. */
function isCausalOnly(attention: Node): boolean {
  const { softcap, window } = attention.attrs;
  return (
    softcap === 0 &&
    window === 0 &&
    attention.optional("mask") === undefined &&
    attention.optional("start_pos") !== undefined
  );
}

/** Whether keys or values are a row for each query, of the same width, and of heads that queries share evenly. */
function hasRowsOf(attention: Node, update: Node): boolean {
  const [q, rows, cache] = [attention.arg("q"), update.arg("new"), update.arg("cache")].map(
    ({ type }) => type,
  ) as [Value["type"], Value["type"], Value["type"]];
  const [batch, heads, length, width] = q.shape as readonly [Dim, Dim, Dim, Dim];
  const shared = cache.shape[1]!;
  const start = (node: Node): Dim | undefined => node.optional("start_pos")?.contents?.[0];
  const [from, to] = [start(attention), start(update)];
  return (
    attention.arg("q") !== update.results[0] &&
    update.arg("new") !== update.arg("cache") &&
    [q, rows, cache].every(({ dtype }) => dtype === "f32") &&
    batch === 1 &&
    cache.shape[0] === 1 &&
    minOf(length) > 0 &&
    sameDim(rows.shape[2]!, length) &&
    !cache.shape.some(isSymbolic) &&
    cache.shape[3] === width &&
    (heads as number) % (shared as number) === 0 &&
    from !== undefined &&
    to !== undefined &&
    sameDim(from, to)
  );
}
