import * as diagnostics from "../../diagnostics.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { addDims, type Dim, substituteDim, symbolsOf } from "../../tensor/dim.ts";
import { type Decoder, findDecoder, plainSymbol } from "../decoder.ts";
import { pastLength, sequenceLength } from "../lengths.ts";
import { definePass, type PassContext } from "../pass.ts";

/** Positions that a program has room for when neither the options nor the model say. */
const defaultMaxSeqLen = 2048;

const maxSeqLenOf = ({ options, info }: Pick<PassContext, "options" | "info">): number =>
  options.maxSeqLen ?? info.maxPositions ?? defaultMaxSeqLen;

/**
 * Gives a language model's sizes their meaning: batch 1, S new tokens, P past ones, and P + S for every other
 * size that an exporter left open.
 */
export const bindDimensions = definePass({
  name: "bind-dimensions",
  doc: "Batch becomes 1; sequence, past and total lengths become S, P and P + S.",
  run(graph, context) {
    const decoder = findDecoder(graph);
    if (decoder === undefined) return;
    const max = roomOf(decoder, context);
    const [S, P] = [sequenceLength(max), pastLength(max)];
    const meaning = new Map<string, Dim>();
    const bind = (dim: Dim | undefined, to: Dim) => {
      const name = dim === undefined ? undefined : plainSymbol(dim);
      if (name !== undefined && !meaning.has(name)) meaning.set(name, to);
    };
    bind(decoder.tokens.type.shape[0], 1);
    bind(decoder.tokens.type.shape[1], S);
    for (const { past, axis, writtenAt } of decoder.caches) {
      bind(past.type.shape[0], 1);
      bind(past.type.shape[axis], writtenAt ? max : P);
    }
    const given = decoder.tokens.type.shape[1]!;
    const length = typeof given === "number" ? given : S;
    const total = decoder.caches.length > 0 ? addDims(P, length) : length;
    for (const { type } of decoder.otherInputs) if (type.shape.length > 1) bind(type.shape[0], 1);
    for (const [name, size] of sizesThatMeet(graph, meaning)) if (!meaning.has(name)) meaning.set(name, size);
    for (const { type } of decoder.otherInputs) for (const dim of type.shape) bind(dim, total);
    graph.edit("bind-dimensions").substitute(meaning);
  },
});

/**
 * Sizes that an exporter named by themselves, told by what they meet: the axes of tensors that are added,
 * multiplied, compared or chosen between have one size.
 */
function sizesThatMeet(graph: Graph, meaning: ReadonlyMap<string, Dim>): ReadonlyMap<string, Dim> {
  const found = new Map<string, Dim>();
  const meet = (dim: Dim, other: Dim): void => {
    const name = plainSymbol(dim);
    const isKnown = [...symbolsOf(other)].every((symbol) => meaning.has(symbol));
    if (name === undefined || meaning.has(name) || found.has(name) || !isKnown) return;
    const size = substituteDim(other, meaning);
    if (size !== 1) found.set(name, size);
  };
  for (const node of graph.nodes)
    for (const [x, y] of broadcastPairs(node))
      for (let i = 1; i <= Math.min(x.length, y.length); i++) {
        meet(x.at(-i)!, y.at(-i)!);
        meet(y.at(-i)!, x.at(-i)!);
      }
  return found;
}

/** Shapes of a node's arguments that are broadcast together. */
function broadcastPairs(node: Node): readonly (readonly [readonly Dim[], readonly Dim[]])[] {
  const { op, args } = node;
  const shapeOf = (name: string) => node.arg(name).type.shape;
  if (op === "where")
    return [
      [shapeOf("condition"), shapeOf("a")],
      [shapeOf("condition"), shapeOf("b")],
      [shapeOf("a"), shapeOf("b")],
    ];
  if (op === "nn.rope") return [[shapeOf("x").slice(2, 3), shapeOf("cos").slice(-2, -1)]];
  const isBinary = op !== "matmul" && "a" in args && "b" in args;
  return isBinary ? [[shapeOf("a"), shapeOf("b")]] : [];
}

/** Positions that there is room for: no more than a cache of fixed size has rows. */
function roomOf({ caches }: Decoder, context: PassContext): number {
  const wanted = maxSeqLenOf(context);
  const rows = caches.flatMap(({ past, axis, writtenAt }) => (writtenAt ? past.type.shape[axis]! : []));
  const room = rows.reduce<number>(
    (least, size) => (typeof size === "number" ? Math.min(least, size) : least),
    wanted,
  );
  const asked = context.options.maxSeqLen ?? 0;
  if (asked > room) context.report(diagnostics.tooFewPositions(asked, room));
  return room;
}
