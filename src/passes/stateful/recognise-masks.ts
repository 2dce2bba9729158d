import type { Builder, Node, Value } from "../../ir/graph.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { capacityOf } from "../decoder.ts";
import { definePass } from "../pass.ts";
import { reportOf } from "../rule.ts";
import { dependsOnPast, dependsOnPositionsOnly, evaluateAt } from "./positions.ts";

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
    const kinds = new Map<Value, Causality | string>();
    for (const node of graph.nodes) {
      const mask = node.op === "nn.sdpa" ? (node.args.mask as Value | undefined) : undefined;
      if (mask === undefined) continue;
      const kind = kinds.get(mask) ?? (await classifyMask(mask, capacity, node.attrs.causal as boolean));
      kinds.set(mask, kind);
      if (typeof kind === "string") report.misses.push({ why: kind, at: node.loc.source });
      else {
        dropMask(b, node, kind);
        report.matched++;
      }
    }
  },
});

interface Causality {
  /** Keys that a query sees, itself included; 0: all. */
  readonly window: number;
}

function dropMask(b: Builder, node: Node, { window }: Causality): void {
  const args = { ...node.args, mask: undefined };
  const attrs = { ...node.attrs, causal: true, window: window || (node.attrs.window as number) };
  b.replace(node.results[0]!, b.untyped(node.op, args, attrs)[0]!);
}

/** Lengths (past, new) to look at: no past, some past, and the longest row, which shows a window. */
const probes = (capacity: number): readonly (readonly [number, number])[] => [
  [0, 1],
  [0, Math.min(7, capacity)],
  [Math.min(5, capacity - 3), 3],
  [capacity - 1, 1],
];

/** Whether a mask lets query i see exactly the keys up to its own position, or a window of them. */
async function classifyMask(
  mask: Value,
  capacity: number,
  isCausalAlready: boolean,
): Promise<Causality | string> {
  if (!dependsOnPositionsOnly(mask)) return "the mask depends on more than positions";
  const hasPast = dependsOnPast(mask);
  let window = 0;
  for (const [past, length] of [...probes(capacity)].reverse()) {
    const [P, S] = hasPast ? [past, length] : [0, past + length];
    const values = await evaluateAt(mask, P, S);
    const total = P + S;
    const [rows, columns] = [values.shape.at(-2) ?? 1, values.shape.at(-1) ?? 1];
    if ((rows !== 1 && rows !== S) || (columns !== 1 && columns !== total))
      return `the mask has ${rows} rows and ${columns} columns for ${S} queries and ${total} keys`;
    if (total === capacity) window = visibleKeys(values, S, total);
    const wrong = firstDifference(values, P, S, window, isCausalAlready);
    if (wrong) return wrong;
  }
  return { window: window >= capacity ? 0 : window };
}

/** 1 for a key that is seen, 0 for one that is not, NaN for a score that is shifted. */
function visibility({ dtype, data }: Tensor, index: number): number {
  const value = data[index]!;
  if (dtype === "bool") return value;
  return value === 0 ? 1 : value <= -1e4 ? 0 : Number.NaN;
}

/** Keys that the last query sees, back from its own. */
function visibleKeys(mask: Tensor, S: number, total: number): number {
  const [rows, columns] = [mask.shape.at(-2) ?? 1, mask.shape.at(-1)!];
  let seen = 0;
  const row = rows === 1 ? 0 : S - 1;
  if (columns === 1) return total;
  while (seen < total && visibility(mask, row * columns + total - 1 - seen) === 1) seen++;
  return seen;
}

function firstDifference(
  mask: Tensor,
  P: number,
  S: number,
  window: number,
  isCausalAlready: boolean,
): string | undefined {
  const total = P + S;
  const [rows, columns] = [mask.shape.at(-2) ?? 1, mask.shape.at(-1)!];
  const planes = mask.data.length / (rows * columns);
  for (let plane = 0; plane < planes; plane++)
    for (let i = 0; i < S; i++)
      for (let j = 0; j < total; j++) {
        const index = (plane * rows + (rows === 1 ? 0 : i)) * columns + (columns === 1 ? 0 : j);
        const isSeen = visibility(mask, index);
        const isCausal = j <= P + i;
        if (Number.isNaN(isSeen))
          return `the mask shifts scores: ${mask.data[index]} for query ${i} and key ${j}`;
        if (isCausalAlready && !isCausal) continue;
        const expected = isCausal && (window === 0 || j > P + i - window) ? 1 : 0;
        if (isSeen !== expected)
          return `with ${P} past and ${S} new tokens, query ${i} ${isSeen ? "sees" : "does not see"} key ${j}: the mask is not causal`;
      }
  return undefined;
}
