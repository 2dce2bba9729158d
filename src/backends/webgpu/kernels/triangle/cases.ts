import { movementKernels } from "../../../../runtime/cpu/kernels/movement.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { scalarTensor } from "../../../../tensor/tensor.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import {
  isSoftware,
  operandElements,
  operandTensor,
  symbols,
  untouchedLike,
  valueElements,
} from "../operand-data.ts";
import { type TriangleParams, triangle } from "./kernel.ts";

function caseOf(params: TriangleParams): KernelCase<TriangleParams> {
  const { input, upper, k } = params;
  const x = () => operandTensor(1, input);
  const result = () =>
    movementKernels.triangle({ x: x(), k: scalarTensor("i64", k as number) }, { upper })[0]!;
  return {
    name: `${upper ? "upper" : "lower"} of ${input.dtype} from diagonal ${k}`,
    params,
    symbols,
    on: isSoftware,
    inputs: () => ({ x: operandElements(input, x()), out: untouchedLike(result()) }),
    expected: () => ({ out: { elements: valueElements(result()) } }),
  };
}

const S = symbol("S", 64, 1);

export const triangleCases = defineCases({
  kernel: triangle,
  cases: [
    caseOf({ input: { shape: [2, S, 7], dtype: "f32", constant: false }, upper: true, k: 1 }),
    caseOf({ input: { shape: [S, 7], dtype: "bool", constant: false }, upper: false, k: -2 }),
  ],
  benches: [],
});
