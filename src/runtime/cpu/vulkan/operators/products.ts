import type { Tensor } from "../../../../tensor/tensor.ts";
import { elementwiseKernels } from "../../kernels/elementwise.ts";
import { linear as linearKernel } from "../../kernels/linear.ts";
import { neuralKernels } from "../../kernels/neural.ts";
import { embedFourBit, linearFourBit } from "../four-bit.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import { constant, flag, int, number, operand, optional, tensor } from "../kinds.ts";
import { type Faults, type Operators, op } from "../operator.ts";
import { hasShape, multipleOf, sameFloats, scalarLike, shapeText, widthPacked } from "./checks.ts";

/** Only the first of several matrices would be multiplied. */
const isOneMatrix = (x: GraphTensor): string | false =>
  !(x.rank === 2 || (x.rank === 3 && x.size(0) === 1)) &&
  `rows in ${shapeText(x.bound)} in place of [M, K] or [1, M, K]`;

const linearFourBitOperator = op(
  [tensor, constant, constant, int, optional(constant)],
  (x, codes, scales, groupSize, bias) => linearFourBit(x, { codes, scales, groupSize }, bias),
  (x, codes, scales, groupSize, bias, out) => {
    const [columns, depth] = [codes.size(0), 2 * codes.size(1)];
    return [
      ...sameFloats(x, scales, bias, out),
      codes.dtype !== "u8" && `codes of ${codes.dtype}`,
      isOneMatrix(x),
      hasShape(codes, [columns, x.size(-1) / 2], "codes"),
      multipleOf(columns, 4, "columns"),
      multipleOf(depth, 4, "rows"),
      groupSize < 4 && `groups of ${groupSize}`,
      multipleOf(groupSize, 4, "groups"),
      multipleOf(depth, groupSize, "rows"),
      hasShape(scales, [depth / groupSize, columns], "scales"),
      hasShape(bias, [columns], "a bias"),
      widthPacked(x, out),
    ];
  },
);

const eightBitFaults = (
  x: GraphTensor,
  codes: GraphTensor,
  scales: GraphTensor,
  bias: GraphTensor | null,
  out: GraphTensor,
): Faults => [
  ...sameFloats(x, scales, bias, out),
  codes.dtype !== "i8" && `codes of ${codes.dtype}`,
  isOneMatrix(x),
  hasShape(codes, [codes.size(0), x.size(-1)], "codes"),
  multipleOf(x.size(-1), 4, "rows"),
  multipleOf(codes.size(0), 4, "columns"),
  hasShape(scales, [codes.size(0)], "scales"),
  hasShape(bias, [codes.size(0)], "a bias"),
];
const linear = (x: Tensor, weight: Tensor, bias: Tensor | null, scale?: Tensor): Tensor => {
  if (x.shape.at(-1) !== weight.shape[1])
    throw new RangeError(`Rows of ${x.shape.at(-1)} are multiplied by a matrix of ${weight.shape[1]}.`);
  return linearKernel({ x, weight, bias: bias ?? undefined, scale }, {})[0]!;
};

const product = (a: Tensor, b: Tensor): Tensor => neuralKernels.matmul({ a, b }, {})[0]!;
const times = (x: Tensor, factor: number): Tensor =>
  factor === 1 ? x : elementwiseKernels.mul({ a: x, b: scalarLike(x, factor) }, {})[0]!;

/** Matrices, or as many matrices: nothing is broadcast. */
const productFaults = (a: GraphTensor, b: GraphTensor, out: GraphTensor, rank: number): Faults => [
  ...sameFloats(a, b, out),
  (a.rank !== rank || b.rank !== rank) && `${shapeText(a.bound)} and ${shapeText(b.bound)}`,
  a.size(-1) !== b.size(-2) && `inner sizes ${a.size(-1)} and ${b.size(-2)}`,
  rank === 3 && a.size(0) !== b.size(0) && `${a.size(0)} and ${b.size(0)} matrices`,
  widthPacked(a, ...(b.isConstant ? [] : [b]), out),
];
const multiply = (rank: 2 | 3) =>
  op([tensor, operand], product, (a, b, out) => productFaults(a, b, out, rank));

export const productOperators: Operators = {
  "et_vk.linear_q4gsw.default": linearFourBitOperator,
  "et_vk.q4gsw_linear.default": linearFourBitOperator,
  "et_vk.linear_q8csw.default": op(
    [tensor, constant, constant, optional(constant)],
    (x, codes, scales, bias) => linear(x, codes, bias, scales),
    eightBitFaults,
  ),
  "aten._weight_int8pack_mm.default": op(
    [tensor, constant, constant],
    (x, codes, scales) => linear(x, codes, null, scales),
    (x, codes, scales, out) => eightBitFaults(x, codes, scales, null, out),
  ),
  "et_vk.embedding_q4gsw.default": op(
    [constant, constant, int, tensor, flag],
    (codes, scales, groupSize, ids, isLowFirst) =>
      embedFourBit({ codes, scales, groupSize }, ids, isLowFirst),
    (codes, scales, groupSize, ids, _isLowFirst, out) => {
      const width = 2 * codes.size(1);
      return [
        ...sameFloats(scales, out),
        codes.dtype !== "u8" && `codes of ${codes.dtype}`,
        codes.rank !== 2 && `codes of ${codes.rank} axes`,
        ids.dtype !== "i32" && `ids of ${ids.dtype}`,
        multipleOf(width, 32, "a width"),
        groupSize < 1 && `groups of ${groupSize}`,
        multipleOf(width, groupSize, "a width"),
        hasShape(scales, [codes.size(0), width / groupSize], "scales"),
        widthPacked(ids, out),
      ];
    },
  ),
  "aten.linear.default": op(
    [tensor, constant, optional(constant)],
    (x, weight, bias) => linear(x, weight, bias),
    (x, weight, bias, out) => [
      ...sameFloats(x, weight, bias, out),
      hasShape(weight, [weight.size(0), x.size(-1)], "a weight"),
      hasShape(bias, [weight.size(0)], "a bias"),
      (x.rank < 2 || x.rank > 3) && `rows in ${shapeText(x.bound)}`,
      widthPacked(x, out),
    ],
  ),
  "aten.mm.default": multiply(2),
  "aten.bmm.default": multiply(3),
  "aten.addmm.default": op(
    [operand, tensor, operand, number, number],
    (x, a, b, beta, alpha) =>
      elementwiseKernels.add({ a: times(product(a, b), alpha), b: times(x, beta) }, {})[0]!,
    (x, a, b, _beta, _alpha, out) => [...sameFloats(x, out), ...productFaults(a, b, out, 2)],
  ),
};
