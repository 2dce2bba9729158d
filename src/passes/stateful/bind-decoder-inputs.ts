import * as diagnostics from "../../diagnostics.ts";
import type { Builder, Graph, Value } from "../../ir/graph.ts";
import { castTo, expandTo, literal, rangeOf, reshapeTo } from "../../ir/shorthand.ts";
import { addDims, type Dim, dimKey, evaluateDim, maxOf, sameDim, subtractDims } from "../../tensor/dim.ts";
import { isFloat, isInteger } from "../../tensor/dtype.ts";
import { tensor } from "../../tensor/tensor.ts";
import { type Decoder, findDecoder, nameOf, tablesIndexedBy } from "../decoder.ts";
import { leavesOf } from "../evaluate.ts";
import { capacityOf, lengths, pastLength } from "../lengths.ts";
import { definePass } from "../pass.ts";
import { dependsOnPositionsOnly, evaluateAt } from "./positions.ts";
import { visibility } from "./visibility.ts";

/**
 * Leaves a caller two inputs: `tokens` [1, S] and, with a cache, `start_pos` [1]. What the exporter asked for
 * beside them is computed: positions count on from start_pos, and every position up to the last is attended to.
 */
export const bindDecoderInputs = definePass({
  name: "bind-decoder-inputs",
  doc: "Masks and positions are computed from start_pos.",
  async run(graph, context) {
    const decoder = findDecoder(graph);
    if (decoder === undefined) return;
    const b = graph.edit("bind-decoder-inputs");
    const S = decoder.tokens.type.shape[1]!;
    const P: Dim = decoder.caches.length > 0 ? pastLength(capacityOf(graph)) : 0;
    renameTokens(b, decoder.tokens);
    if (P !== 0) b.input("start_pos", { dtype: "i64", shape: [1] }, [P]);
    const keys = keysOf(decoder, addDims(P, S));
    // Lengths last: what they are follows from masks, which must depend on nothing else by then.
    const inputs = [...decoder.otherInputs].sort((x, y) => Number(isLength(x)) - Number(isLength(y)));
    for (const input of inputs) {
      const value =
        input.users.size === 0
          ? input
          : isLength(input)
            ? await lengthMeant(b, graph, input, S, P)
            : meaningOf(b, graph, input, S, P, keys);
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

/** Keys that attention sees: all positions so far, or all rows of caches of fixed size. */
function keysOf({ caches: [first] }: Decoder, total: Dim): Dim {
  return first?.writtenAt === undefined ? total : first.past.type.shape[first.axis]!;
}

/** One integer, or a vector of one. */
const isLength = ({ type: { dtype, shape } }: Value): boolean =>
  isInteger(dtype) && (shape.length === 0 || (shape.length === 1 && shape[0] === 1));

/** Rows of a table that tells segments of the text apart; positions have longer ones. */
const segments = 4;

/**
 * What an input that is neither tokens, past nor a length holds, told by its shape and by where it leads: ones
 * for a padding mask, positions, or the causal mask itself.
 */
function meaningOf(b: Builder, graph: Graph, input: Value, S: Dim, P: Dim, keys: Dim): Value | undefined {
  const { dtype, shape } = input.type;
  const rank = shape.length;
  const positions = rangeOf(b, P, addDims(P, S));
  const coversAll =
    rank === 2 && shape[0] === 1 && [addDims(P, S), keys].some((size) => sameDim(shape[1]!, size));
  if (coversAll && (!sameDim(shape[1]!, S) || leadsToMask(graph, input)))
    return expandTo(b, literal(b, dtype, 1), shape);
  if (isFloat(dtype) || dtype === "bool") {
    const isMask = rank === 4 && sameDim(shape[2]!, S) && sameDim(shape[3]!, keys);
    if (!isMask) return undefined;
    const query = reshapeTo(b, positions, [1, 1, S, 1]);
    const visible = b("less_equal", { a: rangeOf(b, 0, keys), b: query });
    if (dtype === "bool") return visible;
    return b("where", { condition: visible, a: literal(b, dtype, 0), b: literal(b, dtype, -Infinity) });
  }
  const isPerToken =
    (rank === 2 && shape[0] === 1 && sameDim(shape[1]!, S)) || (rank === 1 && sameDim(shape[0]!, S));
  const isPositions =
    isPerToken && tablesIndexedBy(input).every(({ type }) => maxOf(type.shape[0]!) > segments);
  return isPositions ? castTo(b, reshapeTo(b, positions, shape), dtype) : undefined;
}

/**
 * A length: of the past, which most are, or of all. A mask computed from it tells which: the last query must see
 * its own key, and none after it.
 */
async function lengthMeant(b: Builder, graph: Graph, input: Value, S: Dim, P: Dim): Promise<Value> {
  const { dtype, shape } = input.type;
  const masks = graph.nodes.flatMap((node) => {
    const mask = node.op === "nn.sdpa" ? node.optional("mask") : undefined;
    const isComputed = mask && leavesOf(mask).has(input) && dependsOnPositionsOnly(mask, input);
    return isComputed ? [mask] : [];
  });
  const total = addDims(P, S);
  for (const length of [P, total, subtractDims(total, 1)])
    if (await endsAtLastQuery(masks, input, S, length))
      return castTo(b, b.dims(shape.length === 0 ? length : [length]), dtype);
  return castTo(b, b.dims(shape.length === 0 ? P : [P]), dtype);
}

async function endsAtLastQuery(masks: readonly Value[], input: Value, S: Dim, length: Dim): Promise<boolean> {
  const [past, count] = [2, typeof S === "number" ? S : 2];
  const given = evaluateDim(length, lengths(past, count));
  for (const mask of new Set(masks)) {
    const values = await evaluateAt(
      mask,
      past,
      count,
      new Map([[input, tensor(input.type.dtype, input.type.shape as number[], [given])]]),
    );
    const last = past + count - 1;
    const seen = (key: number) => visibility(values, 0, count - 1, key);
    if (seen(last) !== 1 || (values.shape.at(-1)! > last + 1 && seen(last + 1) === 1)) return false;
  }
  return true;
}

/** Whether an input reaches an attention mask; what does not is a position where the shape allows both. */
function leadsToMask(graph: Graph, input: Value): boolean {
  const reached = new Set<Value>([input]);
  for (const node of graph.nodes) {
    if (!node.operands.some((operand) => reached.has(operand))) continue;
    if (node.op === "nn.sdpa") {
      const mask = node.optional("mask");
      if (mask && reached.has(mask)) return true;
      continue;
    }
    if (node.op === "softmax") return true;
    for (const result of node.results) reached.add(result);
  }
  return false;
}
