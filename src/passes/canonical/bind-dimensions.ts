import { addDims, type Dim, symbol } from "../../tensor/dim.ts";
import { findDecoder, plainSymbol } from "../decoder.ts";
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
    const max = maxSeqLenOf(context);
    const [S, P] = [sequenceLength(max), pastLength(max)];
    const meaning = new Map<string, Dim>();
    const bind = (dim: Dim | undefined, to: Dim) => {
      const name = dim === undefined ? undefined : plainSymbol(dim);
      if (name !== undefined && !meaning.has(name)) meaning.set(name, to);
    };
    bind(decoder.tokens.type.shape[0], 1);
    bind(decoder.tokens.type.shape[1], S);
    for (const { past, axis } of decoder.caches) {
      bind(past.type.shape[0], 1);
      bind(past.type.shape[axis], P);
    }
    const total = decoder.caches.length > 0 ? addDims(P, S) : S;
    for (const input of decoder.otherInputs) {
      const { shape } = input.type;
      if (shape.length > 1) bind(shape[0], 1);
      for (const dim of shape) bind(dim, total);
    }
    graph.edit("bind-dimensions").substitute(meaning);
  },
});
