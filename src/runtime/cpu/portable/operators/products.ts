import type { Tensor } from "../../../../tensor/tensor.ts";
import { elementwiseKernels } from "../../kernels/elementwise.ts";
import { neuralKernels } from "../../kernels/neural.ts";
import { type Operators, out } from "../operator.ts";
import { scalar, tensor } from "../values.ts";
import { requireRank, requireSameType, scalarLike } from "./checks.ts";

/** Matrices, or as many matrices: nothing is broadcast. */
function product(a: Tensor, b: Tensor, rank: 2 | 3): Tensor {
  requireRank(a, rank);
  requireRank(b, rank);
  requireSameType(a, b);
  if (rank === 3 && a.shape[0] !== b.shape[0])
    throw new RangeError(`It multiplies ${a.shape[0]} matrices by ${b.shape[0]}.`);
  return neuralKernels.matmul({ a, b }, {})[0]!;
}

const { add, mul } = elementwiseKernels;
const times = (x: Tensor, factor: number): Tensor =>
  factor === 1 ? x : mul({ a: x, b: scalarLike(x, factor) }, {})[0]!;

export const productOperators: Operators = {
  "aten::mm.out": out([tensor, tensor], (a, b) => product(a, b, 2)),
  "aten::bmm.out": out([tensor, tensor], (a, b) => product(a, b, 3)),
  "aten::addmm.out": out([tensor, tensor, tensor, scalar, scalar], (x, a, b, beta, alpha) => {
    requireSameType(x, a);
    return add({ a: times(product(a, b, 2), alpha), b: times(x, beta) }, {})[0]!;
  }),
};
