import type { Builder, Node, Value } from "../../ir/graph.ts";
import type { Dim } from "../../tensor/dim.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { capacityOf } from "../lengths.ts";
import { definePass } from "../pass.ts";
import { reportOf } from "../rule.ts";
import { dependsOnPast, dependsOnPositionsOnly, evaluateAt, isSmallAt } from "./positions.ts";
import { planesOf, visibility } from "./visibility.ts";

/**
 * A mask that depends on positions alone is computed for a few lengths. One that lets each query see the keys
 * up to its own position, or a window of them, is causal, however it was spelled.
 */
export const recogniseMasks = definePass({
  name: "recognise-masks",
  doc: "Causal masks, told by their values, become an attribute of nn.sdpa.",
  async run(graph, context) {
    const b = graph.edit("recognise-masks");
    const capacity = capacityOf(graph);
    const report = reportOf(context, "causal-mask");
    const kinds = new Map<string, Causality | string>();
    for (const node of graph.nodes) {
      const mask = node.op === "nn.sdpa" ? node.optional("mask") : undefined;
      if (mask === undefined) continue;
      const attention: Attention = {
        mask,
        capacity,
        length: node.arg("q").type.shape[2]!,
        rows: wholeCacheRows(node),
        isCausalAlready: node.attrs.causal as boolean,
      };
      const key = `${mask.id} ${attention.rows} ${attention.isCausalAlready}`;
      const kind = kinds.get(key) ?? (await classifyMask(attention));
      kinds.set(key, kind);
      if (typeof kind === "string") report.misses.push({ why: kind, at: node.loc.source });
      else {
        dropMask(b, node, kind);
        report.matched++;
      }
    }
  },
});

interface Attention {
  readonly mask: Value;
  readonly capacity: number;
  /** New tokens of a call. */
  readonly length: Dim;
  /** Rows of a cache that attention sees whole, filled or not. */
  readonly rows: number | undefined;
  readonly isCausalAlready: boolean;
}

interface Causality {
  /** Keys that a query sees, itself included; 0: all. */
  readonly window: number;
}

const isWholeCache = ({ node }: Value): boolean => node?.op === "kv.update";

function wholeCacheRows(node: Node): number | undefined {
  const [k, v] = [node.arg("k"), node.arg("v")];
  return isWholeCache(k) && isWholeCache(v) ? (k.type.shape[2] as number) : undefined;
}

function dropMask(b: Builder, node: Node, { window }: Causality): void {
  const k = node.arg("k");
  const startPos = isWholeCache(k) ? { start_pos: k.node!.arg("start_pos") } : {};
  const args = { ...node.args, mask: undefined, ...startPos };
  const attrs = { ...node.attrs, causal: true, window: window || (node.attrs.window as number) };
  b.replace(node.results[0]!, b.untyped(node.op, args, attrs)[0]!);
}

/** Lengths (past, new) to look at: the longest row, which shows a window; some past; no past. */
function probes(capacity: number, length: Dim): readonly (readonly [number, number])[] {
  if (typeof length === "number")
    return [capacity - length, Math.min(5, capacity - length), 0].map((past) => [past, length]);
  return [
    [capacity - 1, 1],
    [Math.min(5, capacity - 3), 3],
    [0, Math.min(7, capacity)],
    [0, 1],
  ];
}

/** Whether a mask lets query i see exactly the keys up to its own position, or a window of them. */
async function classifyMask(attention: Attention): Promise<Causality | string> {
  const { mask, capacity, rows } = attention;
  if (!dependsOnPositionsOnly(mask)) return "the mask depends on more than positions";
  const hasPast = dependsOnPast(mask);
  let window = 0;
  for (const [past, length] of probes(capacity, attention.length)) {
    const [P, S] = hasPast ? [past, length] : [0, past + length];
    if (!isSmallAt(mask, P, S)) return `the mask is too large to be looked at with ${P + S} positions`;
    const values = await evaluateAt(mask, P, S);
    const total = P + S;
    const keys = rows ?? total;
    const [height, columns] = [values.shape.at(-2) ?? 1, values.shape.at(-1) ?? 1];
    if ((height !== 1 && height !== S) || (columns !== 1 && columns !== keys))
      return `the mask has ${height} rows and ${columns} columns for ${S} queries and ${keys} keys`;
    if (total === capacity) window = visibleKeys(values, S, total);
    const wrong = firstDifference(values, P, S, keys, window, attention.isCausalAlready);
    if (wrong) return wrong;
  }
  return { window: window >= capacity ? 0 : window };
}

/** Keys that the last query sees, back from its own. */
function visibleKeys(mask: Tensor, S: number, total: number): number {
  let seen = 0;
  while (seen < total && visibility(mask, 0, S - 1, total - 1 - seen) === 1) seen++;
  return seen;
}

function firstDifference(
  mask: Tensor,
  P: number,
  S: number,
  keys: number,
  window: number,
  isCausalAlready: boolean,
): string | undefined {
  for (let plane = 0; plane < planesOf(mask); plane++)
    for (let i = 0; i < S; i++)
      for (let j = 0; j < keys; j++) {
        const isSeen = visibility(mask, plane, i, j);
        const isCausal = j <= P + i;
        if (Number.isNaN(isSeen)) return `the mask shifts the score of query ${i} and key ${j}`;
        if (isCausalAlready && !isCausal) continue;
        const expected = isCausal && (window === 0 || j > P + i - window) ? 1 : 0;
        if (isSeen !== expected)
          return `with ${P} past and ${S} new tokens, query ${i} ${isSeen ? "sees" : "does not see"} key ${j}: the mask is not causal`;
      }
  return undefined;
}
