import { matmul as reference } from "../../../../runtime/cpu/kernels/matmul.ts";
import { type Dim, symbol } from "../../../../tensor/dim.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import type { Operand } from "../../operands.ts";
import {
  isSoftware,
  operand,
  operandElements,
  operandTensor,
  sizesOf,
  symbols,
  untouchedLike,
  valueElements,
} from "../operand-data.ts";
import { type MatmulParams, matmul } from "./kernel.ts";

const S = symbol("S", 64, 1);

function caseOf(a: Operand, b: Operand, batch: readonly Dim[]): KernelCase<MatmulParams> {
  const result = () => {
    const [x, y] = [operandTensor(1, a), operandTensor(2, b)];
    return reference({ a: x, b: { ...y, dtype: x.dtype } }, {})[0]!;
  };
  return {
    name: `[${sizesOf(a.shape)}] by ${b.constant ? `constant ${b.dtype} ` : ""}[${sizesOf(b.shape)}]`,
    params: { a, b, batch },
    symbols,
    on: isSoftware,
    inputs: () => ({
      a: operandElements(a, operandTensor(1, a)),
      b: operandElements(b, operandTensor(2, b)),
      out: untouchedLike(result()),
    }),
    expected: () => ({ out: { elements: valueElements(result()), tolerance: 2e-6 } }),
  };
}

export const matmulCases = defineCases({
  kernel: matmul,
  cases: [
    caseOf(operand("f32", [2, 3, S, 17]), operand("f32", [2, 3, 17, 70]), [2, 3]),
    caseOf(operand("f32", [2, 1, 9, S]), operand("f32", [3, S, 4]), [2, 3]),
    caseOf(operand("f32", [S, 8]), operand("f16", [8, 5], true), []),
    caseOf(operand("f32", [7]), operand("f32", [S, 7, 3]), [S]),
    caseOf(operand("f32", [2, S, 7]), operand("f32", [7]), [2]),
  ],
  benches: [],
});
