import * as diagnostics from "../../diagnostics.ts";
import type { Builder, Graph, Value } from "../../ir/graph.ts";
import { addDims, type Dim, floorDivideDims } from "../../tensor/dim.ts";
import { elementCount } from "../../tensor/tensor.ts";
import type { Cache } from "../caches.ts";
import { type Decoder, findDecoder, inputNamed, nameOf } from "../decoder.ts";
import { capacityOf, pastLength } from "../lengths.ts";
import { definePass } from "../pass.ts";
import { dependsOnPositionsOnly, evaluateAt } from "./positions.ts";

/**
 * Past and present key-value tensors become states of the program that `kv.update` writes in place, so that a
 * step costs the rows it adds and not a copy of the past. What remains to return are the logits.
 */
export const cachesToStates = definePass({
  name: "caches-to-states",
  doc: "Caches become states, written in place; the program returns logits only.",
  async run(graph, context) {
    const decoder = findDecoder(graph);
    if (decoder === undefined) return;
    const b = graph.edit("caches-to-states");
    const named = nameCaches(graph, decoder);
    for (const { cache, name } of named)
      if (await isWrittenInOrder(cache, capacityOf(graph))) keepInState(b, graph, decoder, cache, name);
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

/**
 * Puts a state in the place of a cache. Of one that grows, only the filled rows are seen; one of fixed size is
 * seen whole, as its attention expects.
 */
function keepInState(b: Builder, graph: Graph, decoder: Decoder, cache: Cache, name: string): void {
  const { past, result, rows, order, heads } = cache;
  const capacity = capacityOf(graph);
  const startPos = inputNamed(graph, "start_pos")!;
  const apart = heads === undefined ? rows : b("reshape", { x: rows, shape: b.dims(splitLast(rows, heads)) });
  const fresh = b("transpose", { x: apart }, { perm: order });
  const [batch, headCount, , width] = fresh.type.shape as readonly [Dim, Dim, Dim, Dim];
  const room = cache.writtenAt ? (past.type.shape[cache.axis] as number) : capacity;
  const state = b.state(name, { dtype: past.type.dtype, shape: [batch, headCount, room, width] });
  const updated = b("kv.update", { cache: state, new: fresh, start_pos: startPos });
  const seen = cache.writtenAt ? updated : filledRows(b, updated, totalLength(decoder, capacity));
  const laidOut = b("transpose", { x: seen }, { perm: order.map((_, axis) => order.indexOf(axis)) });
  b.replace(
    result,
    heads === undefined ? laidOut : b("reshape", { x: laidOut, shape: b.dims(result.type.shape) }),
  );
}

const totalLength = ({ tokens }: Decoder, capacity: number): Dim =>
  addDims(pastLength(capacity), tokens.type.shape[1]!);

/** [B, T, H·D] as [B, T, H, D] */
const splitLast = ({ type }: Value, heads: Dim): readonly Dim[] => [
  ...type.shape.slice(0, -1),
  heads,
  floorDivideDims(type.shape.at(-1)!, heads),
];

/** The first `total` rows of a cache [B, H, C, D]. */
function filledRows(b: Builder, cache: Value, total: Dim): Value {
  const [batch, heads, , width] = cache.type.shape as readonly [Dim, Dim, Dim, Dim];
  const cut = b("slice", { x: cache, starts: b.dims([0]), ends: b.dims([total]) }, { axes: [2], steps: [1] });
  // P + S never exceeds the capacity; that is the caller's contract, which sizes alone cannot show.
  return b("reshape", { x: cut, shape: b.dims([batch, heads, total, width]) });
}

/** Whether a cache of fixed size is written at start_pos and on. */
async function isWrittenInOrder({ writtenAt, result }: Cache, capacity: number): Promise<boolean> {
  if (writtenAt === undefined) return true;
  if (!dependsOnPositionsOnly(writtenAt)) return false;
  const { op, attrs } = result.node!;
  const axis = op === "scatter_nd" ? 0 : (attrs.axis as number);
  const length = Math.min(2, capacity);
  for (const past of [0, Math.min(5, capacity - length)]) {
    const { data, shape } = await evaluateAt(writtenAt, past, length);
    const at = axis < 0 ? axis + shape.length : axis;
    const inner = elementCount(shape.slice(at + 1));
    if (!data.every((index: number, i: number) => index === past + (Math.floor(i / inner) % shape[at]!)))
      return false;
  }
  return true;
}

/** Names caches by the attention that reads them, in the order of the layers: kv.0.key, kv.0.value, kv.1.key, … */
function nameCaches(graph: Graph, { caches }: Decoder): readonly { cache: Cache; name: string }[] {
  const left = new Map(caches.map((cache) => [cache.result, cache]));
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
    take(node.arg("k"), `kv.${layer}.key`);
    take(node.arg("v"), `kv.${layer}.value`);
    layer++;
  }
  for (const cache of left.values()) named.push({ cache, name: `kv.${named.length}` });
  return named;
}
