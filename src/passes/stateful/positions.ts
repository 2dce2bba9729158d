import type { Value } from "../../ir/graph.ts";
import { symbolsOf } from "../../tensor/dim.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { evaluate, leavesOf } from "../evaluate.ts";

/** Whether a value follows from P (tokens before), S (tokens now) and constants alone. */
export const dependsOnPositionsOnly = (value: Value): boolean =>
  [...leavesOf(value)].every(
    ({ def, contents }) =>
      def.kind === "const" || def.kind === "dims" || (def.kind === "input" && contents !== undefined),
  );

/** Whether a value changes with the number of tokens before. */
export const dependsOnPast = (value: Value): boolean =>
  [value, ...leavesOf(value)].some(({ type, contents = [] }) =>
    [...type.shape, ...contents].some((dim) => symbolsOf(dim).has("P")),
  );

/** Computes a value for a number of past and of new tokens. */
export const evaluateAt = (value: Value, past: number, length: number): Promise<Tensor> =>
  evaluate(value, {
    symbols: new Map([
      ["P", past],
      ["S", length],
    ]),
  });
