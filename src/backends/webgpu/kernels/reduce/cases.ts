import { reductionKernels } from "../../../../runtime/cpu/kernels/reduction.ts";
import { symbol } from "../../../../tensor/dim.ts";
import type { DType } from "../../../../tensor/dtype.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import type { Operand } from "../../operands.ts";
import {
  isDistinct,
  operandElements,
  operandTensor,
  symbols,
  untouchedLike,
  valueElements,
} from "../operand-data.ts";
import { type ReduceParams, reduce, reduceKernelOps } from "./kernel.ts";

const S = symbol("S", 64, 1);

function caseOf(op: ReduceParams["op"], dtype: DType, axes: readonly number[]): KernelCase<ReduceParams> {
  const input: Operand = { shape: [2, S, 3, 70], dtype, constant: false };
  const x = () => operandTensor(1, input, 100);
  const result = () => reductionKernels[op]({ x: x() }, { axes, keepdims: true })[0]!;
  return {
    name: `${op} of ${dtype} over ${axes}`,
    params: { op, input, axes },
    symbols,
    on: isDistinct,
    inputs: () => ({ x: operandElements(input, x()), out: untouchedLike(result()) }),
    expected: () => ({
      out: { elements: valueElements(result()), ...(dtype === "f32" && { tolerance: 2e-6 }) },
    }),
  };
}

export const reduceCases = defineCases({
  kernel: reduce,
  cases: [
    ...reduceKernelOps.flatMap((op) => [caseOf(op, "f32", [3]), caseOf(op, "i64", [1, 3])]),
    caseOf("reduce_sum", "f32", [0, 2]),
    caseOf("reduce_max", "f32", [0, 1, 2, 3]),
  ],
  benches: [],
});
