import { diagnostics } from "../../errors.ts";
import type { Value } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/type.ts";
import { addDims, type Dim, sameDim, symbol, symbolsOf } from "../../tensor/dim.ts";
import { type Decoder, findDecoder, plainSymbol } from "../decoder.ts";
import { definePass, type PassContext } from "../pass.ts";

/** Positions that a program has room for when neither the options nor the model say. */
export const defaultMaxSeqLen = 2048;

export const maxSeqLenOf = ({ options, info }: Pick<PassContext, "options" | "info">): number =>
  options.maxSeqLen ?? info.maxPositions ?? defaultMaxSeqLen;

/** Tokens in one call. */
export const sequenceLength = (max: number): Dim => symbol("S", max, 1);
/** Tokens that came before: the value of start_pos. */
export const pastLength = (max: number): Dim => symbol("P", max, 0);

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
    const total = decoder.caches.length > 0 ? addDims(P, S) : S;
    for (const input of decoder.otherInputs) {
      const { shape } = input.type;
      if (shape.length > 1) bind(shape[0], 1);
      for (const dim of shape) bind(dim, total);
    }
    const b = graph.edit("bind-dimensions");
    b.substitute(meaning);
    b.reinfer(correctedTypes(decoder, total));
  },
});

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

/**
 * Exporters label sizes, and nothing checks the labels: a mask over past and new tokens is often said to have
 * `past + 1` columns although calls of any length are meant.
 */
function correctedTypes({ tokens, otherInputs }: Decoder, total: Dim): ReadonlyMap<Value, TensorType> {
  const corrected = new Map<Value, TensorType>();
  if (typeof tokens.type.shape[1] === "number") return corrected;
  const isMislabelled = (dim: Dim) =>
    symbolsOf(dim).has("P") && plainSymbol(dim) === undefined && !sameDim(dim, total);
  for (const input of otherInputs) {
    const { dtype, shape } = input.type;
    if (shape.some(isMislabelled))
      corrected.set(input, { dtype, shape: shape.map((dim) => (isMislabelled(dim) ? total : dim)) });
  }
  return corrected;
}
