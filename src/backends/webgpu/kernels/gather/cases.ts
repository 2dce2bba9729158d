import { indexingKernels } from "../../../../runtime/cpu/kernels/indexing.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { type Tensor, tensor } from "../../../../tensor/tensor.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
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
import { type GatherParams, gather } from "./kernel.ts";

const S = symbol("S", 64, 1);

function caseOf(name: string, params: GatherParams, ids: readonly number[]): KernelCase<GatherParams> {
  const { x, indices, axis } = params;
  const data = () => operandTensor(1, x);
  const chosen = () => tensor("i64", sizesOf(indices.shape), ids);
  const result = (): Tensor => indexingKernels.gather({ x: data(), indices: chosen() }, { axis })[0]!;
  return {
    name,
    params,
    symbols,
    on: isSoftware,
    inputs: () => ({
      x: operandElements(x, data()),
      indices: operandElements(indices, chosen()),
      out: untouchedLike(result()),
    }),
    expected: () => ({ out: { elements: valueElements(result()) } }),
  };
}

export const gatherCases = defineCases({
  kernel: gather,
  cases: [
    caseOf(
      "rows of a constant",
      { x: operand("f16", [9, 4], true), indices: operand("i64", [1, S]), axis: 0 },
      [8, 0, 3, 3, -1],
    ),
    caseOf(
      "along an axis within",
      { x: operand("f32", [2, S, 3]), indices: operand("i64", [2, 2], true), axis: 1 },
      [4, -5, 0, 2],
    ),
    caseOf("one place", { x: operand("i64", [2, S]), indices: operand("i64", [], true), axis: 1 }, [-1]),
  ],
  benches: [],
});
