import { diagnostics } from "../../errors.ts";
import type { Builder, Graph, Value } from "../../ir/graph.ts";
import { inlineWeight } from "../../ir/weights.ts";
import { addDims, type Dim, dimKey, sameDim } from "../../tensor/dim.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { scalarTensor } from "../../tensor/tensor.ts";
import { maxSeqLenOf, pastLength } from "../canonical/bind-dimensions.ts";
import { type Decoder, findDecoder } from "../decoder.ts";
import { definePass, type PassContext } from "../pass.ts";

/**
 * Leaves a caller two inputs: `tokens` [1, S] and, with a cache, `start_pos` [1]. What the exporter asked for
 * beside them is computed: positions count on from start_pos, every position up to the last is attended to,
 * and the past is a state that `kv.update` writes in place.
 */
export const bindDecoderInputs = definePass({
  name: "bind-decoder-inputs",
  doc: "Caches become states; masks and positions are computed from start_pos.",
  run(graph, context) {
    const decoder = findDecoder(graph);
    if (decoder === undefined) return;
    const b = graph.edit("bind-decoder-inputs");
    const max = maxSeqLenOf(context);
    const S = decoder.tokens.type.shape[1]!;
    const P: Dim = decoder.caches.length > 0 ? pastLength(max) : 0;
    renameTokens(b, decoder.tokens);
    const startPos =
      decoder.caches.length > 0 ? b.input("start_pos", { dtype: "i64", shape: [1] }, [P]) : undefined;
    for (const input of decoder.otherInputs) {
      const value = input.users.size === 0 ? input : meaningOf(b, graph, input, S, P);
      if (value === undefined)
        context.report(
          diagnostics.inputMeaning(nameOf(input), `${input.type.dtype}[${input.type.shape.map(dimKey)}]`),
        );
      else {
        b.replace(input, value);
        b.removeInput(input);
      }
    }
    if (startPos) cachesToStates(b, graph, decoder, startPos, max, addDims(P, S), context);
    for (const { name } of [...graph.outputs]) if (name !== decoder.logits) b.removeOutput(name);
    if (decoder.logits !== "logits") {
      const { value } = graph.outputs[0]!;
      b.output("logits", value);
      b.removeOutput(decoder.logits);
    }
  },
});

const nameOf = (value: Value): string => (value.def.kind === "input" ? value.def.name : value.def.kind);

/** The first input, `tokens`, i64 as ExecuTorch's runner passes it, in place of the exporter's. */
function renameTokens(b: Builder, tokens: Value): void {
  if (nameOf(tokens) === "tokens" && tokens.type.dtype === "i64") return;
  const renamed = b.input("tokens", { dtype: "i64", shape: tokens.type.shape });
  b.replace(tokens, castTo(b, renamed, tokens.type.dtype));
  b.removeInput(tokens);
}

const castTo = (b: Builder, x: Value, to: Value["type"]["dtype"]): Value =>
  x.type.dtype === to ? x : b("cast", { x }, { to });

/** i64 [size]: from, from + 1, … */
const countFrom = (b: Builder, from: Dim, size: Dim): Value =>
  b("range", { start: b.dims(from), limit: b.dims(addDims(from, size)), delta: b.dims(1) });

/**
 * What an input that is neither tokens nor past holds, told by its shape and by where it leads: ones for a
 * padding mask, positions, the causal mask itself, or a length.
 */
function meaningOf(b: Builder, graph: Graph, input: Value, S: Dim, P: Dim): Value | undefined {
  const { dtype, shape } = input.type;
  const total = addDims(P, S);
  const rank = shape.length;
  const filled = (value: number) =>
    b("expand", { x: b.constant(inlineWeight(scalarTensor(dtype, value))), shape: b.dims(shape) });
  const coversAll = rank === 2 && shape[0] === 1 && sameDim(shape[1]!, total);
  if (coversAll && (!sameDim(total, S) || leadsToMask(graph, input))) return filled(1);
  if (isFloat(dtype) || dtype === "bool") {
    const isMask = rank === 4 && sameDim(shape[2]!, S) && sameDim(shape[3]!, total);
    if (!isMask) return undefined;
    const query = b("reshape", { x: countFrom(b, P, S), shape: b.dims([1, 1, S, 1]) });
    const visible = b("less_equal", { a: countFrom(b, 0, total), b: query });
    if (dtype === "bool") return visible;
    const number = (value: number) => b.constant(inlineWeight(scalarTensor(dtype, value)));
    return b("where", { condition: visible, a: number(0), b: number(-Infinity) });
  }
  const isPositions =
    (rank === 2 && shape[0] === 1 && sameDim(shape[1]!, S)) || (rank === 1 && sameDim(shape[0]!, S));
  if (isPositions) return castTo(b, b("reshape", { x: countFrom(b, P, S), shape: b.dims(shape) }), dtype);
  const isLength = rank === 0 || (rank === 1 && shape[0] === 1);
  return isLength ? castTo(b, b.dims(rank === 0 ? P : [P]), dtype) : undefined;
}

/** Whether an input reaches an attention mask; what does not is a position where the shape allows both. */
function leadsToMask(graph: Graph, input: Value): boolean {
  const reached = new Set<Value>([input]);
  for (const node of graph.nodes) {
    if (!node.operands.some((operand) => reached.has(operand))) continue;
    if (node.op === "nn.sdpa") {
      if (reached.has(node.args.mask as Value)) return true;
      continue;
    }
    if (node.op === "softmax") return true;
    for (const result of node.results) reached.add(result);
  }
  return false;
}

function cachesToStates(
  b: Builder,
  graph: Graph,
  decoder: Decoder,
  startPos: Value,
  capacity: number,
  total: Dim,
  context: PassContext,
): void {
  const named = nameCaches(graph, decoder);
  for (const { cache, name } of named) {
    const { past, present, appended, axis } = cache;
    const order = axis === 1 ? [0, 2, 1, 3] : undefined;
    if (axis !== 1 && axis !== 2) {
      context.report(diagnostics.cacheLayout(nameOf(past), axis));
      continue;
    }
    const fresh = order ? b("transpose", { x: appended }, { perm: order }) : appended;
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
    b.replace(present, order ? b("transpose", { x: filled }, { perm: order }) : filled);
  }
  for (const { cache } of named) {
    if (cache.past.users.size === 0) b.removeInput(cache.past);
    else context.report(diagnostics.cacheUse(nameOf(cache.past)));
  }
}

/** Names caches by the attention that reads them, in the order of the layers: kv.0.key, kv.0.value, kv.1.key, … */
function nameCaches(graph: Graph, { caches }: Decoder) {
  const left = new Map(caches.map((cache) => [cache.present, cache]));
  const named: { cache: Decoder["caches"][number]; name: string }[] = [];
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
