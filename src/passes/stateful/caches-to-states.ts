import { diagnostics } from "../../errors.ts";
import type { Builder, Graph, Value } from "../../ir/graph.ts";
import { addDims, type Dim } from "../../tensor/dim.ts";
import { pastLength } from "../canonical/bind-dimensions.ts";
import { type Cache, capacityOf, type Decoder, findDecoder, nameOf } from "../decoder.ts";
import { definePass, type PassContext } from "../pass.ts";

/**
 * Past and present key-value tensors become states of the program that `kv.update` writes in place, so that a
 * step costs the rows it adds and not a copy of the past. What remains to return are the logits.
 */
export const cachesToStates = definePass({
  name: "caches-to-states",
  doc: "Caches become states, written in place; the program returns logits only.",
  run(graph, context) {
    const decoder = findDecoder(graph);
    if (decoder === undefined) return;
    const b = graph.edit("caches-to-states");
    const named = nameCaches(graph, decoder);
    for (const { cache, name } of named) keepInState(b, graph, decoder, cache, name, context);
    for (const { name } of [...graph.outputs]) if (name !== decoder.logits) b.removeOutput(name);
    if (decoder.logits !== "logits") {
      b.output("logits", graph.outputs[0]!.value);
      b.removeOutput(decoder.logits);
    }
    for (const { cache } of named) {
      if (cache.past.users.size === 0) b.removeInput(cache.past);
      else context.report(diagnostics.cacheUse(nameOf(cache.past)));
    }
  },
});

/** The axes of a cache in the order batch, heads, positions, width, by the axis that it grows along. */
const axisOrders: Readonly<Record<number, readonly number[]>> = { 1: [0, 2, 1, 3], 2: [0, 1, 2, 3] };

function keepInState(
  b: Builder,
  graph: Graph,
  decoder: Decoder,
  { past, present, appended, axis }: Cache,
  name: string,
  context: PassContext,
): void {
  const order = axisOrders[axis];
  if (order === undefined) {
    context.report(diagnostics.cacheLayout(nameOf(past), axis));
    return;
  }
  const capacity = capacityOf(graph);
  const startPos = graph.inputs.find((input) => nameOf(input) === "start_pos")!;
  const total = addDims(pastLength(capacity), decoder.tokens.type.shape[1]!);
  const perm = { perm: order };
  const fresh = b("transpose", { x: appended }, perm);
  const [batch, heads, , width] = fresh.type.shape as readonly [Dim, Dim, Dim, Dim];
  const state = b.state(name, { dtype: past.type.dtype, shape: [batch, heads, capacity, width] });
  const updated = b("kv.update", { cache: state, new: fresh, start_pos: startPos });
  const cut = b(
    "slice",
    { x: updated, starts: b.dims([0]), ends: b.dims([total]) },
    { axes: [2], steps: [1] },
  );
  // P + S never exceeds the capacity; that is the caller's contract, which sizes alone cannot show.
  const filled = b("reshape", { x: cut, shape: b.dims([batch, heads, total, width]) });
  b.replace(present, b("transpose", { x: filled }, perm));
}

/** Names caches by the attention that reads them, in the order of the layers: kv.0.key, kv.0.value, kv.1.key, … */
function nameCaches(graph: Graph, { caches }: Decoder): readonly { cache: Cache; name: string }[] {
  const left = new Map(caches.map((cache) => [cache.present, cache]));
  const named: { cache: Cache; name: string }[] = [];
  const take = (from: Value | undefined, name: string) => {
    for (let at = from; at !== undefined; at = at.node?.operands[0]) {
      const cache = left.get(at);
      if (cache === undefined) continue;
      named.push({ cache, name });
      left.delete(at);
      return;
    }
  };
  let layer = 0;
  for (const node of graph.nodes) {
    if (node.op !== "nn.sdpa") continue;
    take(node.args.k as Value, `kv.${layer}.key`);
    take(node.args.v as Value, `kv.${layer}.value`);
    layer++;
  }
  for (const cache of left.values()) named.push({ cache, name: `kv.${named.length}` });
  return named;
}
