import { diagnostics } from "../../errors.ts";
import type { Builder, Graph, Value } from "../../ir/graph.ts";
import { inlineWeight } from "../../ir/weights.ts";
import { addDims, type Dim, dimKey, sameDim } from "../../tensor/dim.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { scalarTensor } from "../../tensor/tensor.ts";
import { pastLength } from "../canonical/bind-dimensions.ts";
import { capacityOf, findDecoder, nameOf } from "../decoder.ts";
import { definePass } from "../pass.ts";

/**
 * Leaves a caller two inputs: `tokens` [1, S] and, with a cache, `start_pos` [1]. What the exporter asked for
 * beside them is computed: positions count on from start_pos, and every position up to the last is attended to.
 */
export const bindDecoderInputs = definePass({
  name: "bind-decoder-inputs",
  doc: "Masks and positions are computed from start_pos.",
  run(graph, context) {
    const decoder = findDecoder(graph);
    if (decoder === undefined) return;
    const b = graph.edit("bind-decoder-inputs");
    const S = decoder.tokens.type.shape[1]!;
    const P: Dim = decoder.caches.length > 0 ? pastLength(capacityOf(graph)) : 0;
    renameTokens(b, decoder.tokens);
    if (P !== 0) b.input("start_pos", { dtype: "i64", shape: [1] }, [P]);
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
  },
});

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
