import type { Hole, PatternBuilder } from "../pattern.ts";
import { rewritePass, rule } from "../rule.ts";

/** The filled rows of a cache, as `bind-decoder-inputs` leaves them. */
const filledRows = (p: PatternBuilder, cache: Hole): Hole => p("reshape", { x: p("slice", { x: cache }) });

const attendInPlace = rule({
  name: "attend-in-place",
  doc: "Causal nn.sdpa over the filled rows of a cache → nn.sdpa over the cache, with start_pos.",
  pattern(p) {
    const [k, v] = [p("kv.update", {}), p("kv.update", {})];
    return { root: p("nn.sdpa", { k: filledRows(p, k), v: filledRows(p, v) }), k, v };
  },
  check(m) {
    const { args, attrs } = m.root.node!;
    if (args.mask !== undefined) return m.no("the mask is not causal, so it stays", m.root);
    const isOneToken = m.root.type.shape[2] === 1;
    if (attrs.causal !== true && !isOneToken)
      return m.no("there is no mask: later tokens of one call are seen", m.root);
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
