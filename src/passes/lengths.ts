import type { Graph } from "../ir/graph.ts";
import { type Dim, maxOf, symbol, symbolBounds, symbolsOf } from "../tensor/dim.ts";
import { isInteger } from "../tensor/dtype.ts";

// The sizes of a language model, once `bind-dimensions` has told them: S new tokens, P past ones, and P + S.
const newTokens = "S";
const pastTokens = "P";

/** Tokens in one call: 1 to `max`. */
export const sequenceLength = (max: number): Dim => symbol(newTokens, max, 1);

/** Tokens that came before, the value of start_pos: 0 to `max`. */
export const pastLength = (max: number): Dim => symbol(pastTokens, max, 0);

/** What the two symbols stand for in a graph that has room for `max` positions. */
export const lengthsUpTo = (max: number): ReadonlyMap<string, Dim> =>
  new Map([
    [newTokens, sequenceLength(max)],
    [pastTokens, pastLength(max)],
  ]);

/** Values of the two symbols: numbers of past and of new tokens. */
export const lengths = (past: number, length: number): ReadonlyMap<string, number> =>
  new Map([
    [newTokens, length],
    [pastTokens, past],
  ]);

/** Whether a size changes with the number of past tokens. */
export const hasPastLength = (dim: Dim): boolean => symbolsOf(dim).has(pastTokens);

/**
 * Positions that a language model's program has room for, once its sizes are told: the bound of S, or of P + S
 * where calls have a fixed length.
 */
export function capacityOf(graph: Graph): number {
  const bounds = new Map<string, { min: number; max: number }>();
  for (const { type, contents = [] } of graph.inputs)
    for (const dim of [...type.shape, ...contents]) symbolBounds(dim, bounds);
  const length = bounds.get(newTokens) ?? bounds.get(pastTokens);
  if (length) return length.max;
  const tokens = graph.inputs.find((input) => isInteger(input.type.dtype) && input.type.shape.length === 2);
  return maxOf(tokens?.type.shape[1] ?? 0);
}
