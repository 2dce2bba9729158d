import type { Graph, Value } from "../../ir/graph.ts";
import { evaluateDim, symbolsOf } from "../../tensor/dim.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { backwardSlice, evaluate, leavesOf } from "../evaluate.ts";
import { hasPastLength, lengths } from "../lengths.ts";

/** Whether a value follows from P (tokens before), S (tokens now), constants and the given inputs alone. */
export const dependsOnPositionsOnly = (value: Value, ...given: readonly Value[]): boolean =>
  [...leavesOf(value)].every(
    (leaf) =>
      leaf.def.kind === "const" ||
      leaf.def.kind === "dims" ||
      (leaf.def.kind === "input" && leaf.contents !== undefined) ||
      given.includes(leaf),
  );

/** Whether a value changes with the number of tokens before. */
export const dependsOnPast = (value: Value): boolean =>
  [value, ...leavesOf(value)].some(({ type, contents = [] }) =>
    [...type.shape, ...contents].some(hasPastLength),
  );

/** Computes a value for a number of past and of new tokens. */
export const evaluateAt = (
  value: Value,
  past: number,
  length: number,
  inputs: ReadonlyMap<Value, Tensor> = new Map(),
): Promise<Tensor> => evaluate(value, { symbols: lengths(past, length), inputs });

/** Elements of the largest tensor that is computed at compile time to find out about positions: 256 MiB of f32. */
const elementLimit = 2 ** 26;

/** Whether a value can be computed for these lengths with a bearable amount of memory. */
export function isSmallAt(value: Value, past: number, length: number): boolean {
  const symbols = lengths(past, length);
  const count = ({ type }: Value): number =>
    type.shape.reduce<number>((n, dim) => {
      const isKnown = [...symbolsOf(dim)].every((name) => symbols.has(name));
      return isKnown ? n * evaluateDim(dim, symbols) : n;
    }, 1);
  return backwardSlice(value).every(({ results }) =>
    results.every((result) => count(result) <= elementLimit),
  );
}

/** Values that follow from positions alone, where they meet what does not. */
export function positionFunctions(graph: Graph): readonly Value[] {
  const known = new Map<Value, boolean>();
  const isFunction = (value: Value): boolean => {
    if (!known.has(value)) known.set(value, value.node !== undefined && dependsOnPositionsOnly(value));
    return known.get(value)!;
  };
  return graph.nodes
    .flatMap((node) => node.results)
    .filter((value) => isFunction(value) && [...value.users].some((user) => !user.results.every(isFunction)));
}
