import type { Value } from "../../ir/graph.ts";
import { addDims, sameDim } from "../../tensor/dim.ts";
import type { PatternBuilder } from "../pattern.ts";
import { rewritePass, rule } from "../rule.ts";

/** Rows of a cache, as `caches-to-states` leaves them. */
const rowsOfCache = (p: PatternBuilder) => {
  const cache = p("kv.update", {});
  const cut = p("slice", { x: cache });
  return { cache, cut, rows: p("reshape", { x: cut }) };
};

/** Whether a cut takes the rows that are filled after a call with these queries: those before P + S, all of them. */
function takesFilledRows(cut: Value, cache: Value, queries: Value): boolean {
  const node = cut.node!;
  const [past] = cache.node!.arg("start_pos").contents ?? [];
  const [start] = node.arg("starts").contents ?? [];
  const [end] = node.arg("ends").contents ?? [];
  const { axes, steps } = node.attrs as { axes: readonly number[]; steps: readonly number[] };
  const isOneCut = axes.length === 1 && axes[0] === 2 && steps[0] === 1 && start === 0;
  const length = queries.type.shape[2];
  return isOneCut && past !== undefined && end !== undefined && sameDim(end, addDims(past, length!));
}

const attendInPlace = rule({
  name: "attend-in-place",
  doc: "Causal nn.sdpa over the filled rows of a cache → nn.sdpa over the cache, with start_pos.",
  pattern(p) {
    const [k, v] = [rowsOfCache(p), rowsOfCache(p)];
    return {
      root: p("nn.sdpa", { k: k.rows, v: v.rows }),
      ...{ k: k.cache, kCut: k.cut, v: v.cache, vCut: v.cut },
    };
  },
  check(m) {
    const { args, attrs } = m.root.node!;
    if (args.mask !== undefined) return m.no("the mask is not causal, so it stays", m.root);
    const isOneToken = m.root.type.shape[2] === 1;
    if (attrs.causal !== true && !isOneToken)
      return m.no("there is no mask: later tokens of one call are seen", m.root);
    for (const [cut, cache] of [
      [m.kCut, m.k],
      [m.vCut, m.v],
    ] as const)
      if (!takesFilledRows(cut, cache, m.root))
        return m.no("other rows of the cache are read than the filled ones", cut);
    return undefined;
  },
  rewrite(b, m) {
    const { args, attrs } = m.root.node!;
    const startPos = m.k.node!.arg("start_pos");
    return b.untyped(
      "nn.sdpa",
      { ...args, k: m.k, v: m.v, start_pos: startPos },
      { ...attrs, causal: true },
    )[0];
  },
});

export const attendInPlacePass = rewritePass("attend-in-place", "Attention reads the cache where it lies.", [
  attendInPlace,
]);
