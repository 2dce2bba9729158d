import { type Graph, type Value, weightArgs } from "../../ir/graph.ts";
import type { WeightKind } from "../../ir/ops/op.ts";
import type { WeightRef } from "../../ir/weights.ts";

/**
 * Stores the constants of some kinds in another form, whichever op they belong to.
 * @param by names the pass, for provenance
 * @param store gives the new form of a weight, or the weight itself; asked once for each constant
 */
export async function mapWeights(
  graph: Graph,
  by: string,
  kinds: readonly WeightKind[],
  store: (weight: WeightRef) => WeightRef | Promise<WeightRef>,
): Promise<void> {
  const b = graph.edit(by);
  const stored = new Map<Value, Value>();
  for (const node of graph.nodes) {
    const changed: Record<string, Value> = {};
    for (const { name, kind, value, data } of weightArgs(node)) {
      if (!kinds.includes(kind)) continue;
      if (!stored.has(value)) {
        const form = await store(data);
        stored.set(value, form === data ? value : b.constant(form));
      }
      if (stored.get(value) !== value) changed[name] = stored.get(value)!;
    }
    if (Object.keys(changed).length === 0) continue;
    const results = b.untyped(node.op, { ...node.args, ...changed }, node.attrs);
    for (const [i, result] of node.results.entries()) b.replace(result, results[i]!);
  }
}
