import { addDims, symbol } from "../../../../tensor/dim.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import { isSoftware } from "../operand-data.ts";
import { type RangeParams, range } from "./kernel.ts";

const [tokens, position] = [70, 9];

function caseOf(name: string, params: RangeParams, first: number, count: number): KernelCase<RangeParams> {
  return {
    name,
    params,
    symbols: { S: tokens, P: position },
    on: isSoftware,
    inputs: () => ({ out: new Int32Array(count).fill(77) }),
    expected: () => ({
      out: { elements: Int32Array.from({ length: count }, (_, i) => first + i * params.delta) },
    }),
  };
}

const [S, P] = [symbol("S", 4096, 1), symbol("P", 4096)];

export const rangeCases = defineCases({
  kernel: range,
  cases: [
    caseOf("positions", { start: P, delta: 1, length: S }, position, tokens),
    caseOf("downwards", { start: addDims(S, -3), delta: -2, length: 5 }, tokens - 3, 5),
    caseOf("from below zero", { start: -2, delta: 3, length: 4 }, -2, 4),
  ],
  benches: [],
});
