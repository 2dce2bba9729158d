import type { Kernel, OpSignature } from "../../../ir/ops/op.ts";
import type { ArithmeticOp, ComparisonOp, UnaryOp } from "../../../ir/ops/signatures.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import { elementwiseKernels } from "./elementwise.ts";

// Elementwise kernels as functions of tensors, for operators of a runtime that are named otherwise.

export const apply = (op: UnaryOp, x: Tensor): Tensor =>
  (elementwiseKernels[op] as Kernel<OpSignature<"x">>)({ x }, {})[0]!;

export const combine = (op: ArithmeticOp | ComparisonOp, a: Tensor, b: Tensor): Tensor =>
  (elementwiseKernels[op] as Kernel<OpSignature<"a" | "b">>)({ a, b }, {})[0]!;

export type Compare = (a: Tensor, b: Tensor) => Tensor;

/** By the names that they have in PyTorch. */
export const comparisons: Readonly<Record<"eq" | "ne" | "lt" | "le" | "gt" | "ge", Compare>> = {
  eq: (a, b) => combine("equal", a, b),
  ne: (a, b) => apply("not", combine("equal", a, b)),
  lt: (a, b) => combine("less", a, b),
  le: (a, b) => combine("less_equal", a, b),
  gt: (a, b) => combine("greater", a, b),
  ge: (a, b) => combine("greater_equal", a, b),
};
