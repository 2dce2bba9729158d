import type { Node } from "../../../ir/graph.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import type { TensorOp, tensorOps } from "../aten.ts";
import { type Decomposition, one } from "../decomposition.ts";

type OpsWith<S> = {
  readonly [O in TensorOp]: (typeof tensorOps)[O] extends S
    ? S extends (typeof tensorOps)[O]
      ? O
      : never
    : never;
}[TensorOp];
type UnaryKernel = OpsWith<{ readonly self: "tensor" }>;
type BinaryKernel = OpsWith<{ readonly self: "tensor"; readonly other: "tensor" }>;

const unary = (op: UnaryKernel, refuse?: Decomposition["refuse"]): Decomposition =>
  one((e, node) => e.op(op, { self: e.tensor(node.arg("x")) }, node.results[0]!.type), refuse);

const binary = (op: BinaryKernel, refuse?: Decomposition["refuse"]): Decomposition =>
  one(
    (e, node) =>
      e.op(op, { self: e.tensor(node.arg("a")), other: e.tensor(node.arg("b")) }, node.results[0]!.type),
    refuse,
  );

const sum = (op: "aten::add.out" | "aten::sub.out"): Decomposition =>
  one((e, node) => {
    const args = { self: e.tensor(node.arg("a")), other: e.tensor(node.arg("b")), alpha: 1 };
    return e.op(op, args, node.results[0]!.type);
  });

/** Kernels make floats of integers here, where the graph keeps them. */
const needsFloats = (node: Node): string | undefined => {
  const { dtype } = node.operands[0]!.type;
  return isFloat(dtype) ? undefined : `it must be of floats, and is of ${dtype}`;
};

export const elementwise = {
  abs: unary("aten::abs.out"),
  acos: unary("aten::acos.out", needsFloats),
  acosh: unary("aten::acosh.out", needsFloats),
  asin: unary("aten::asin.out", needsFloats),
  asinh: unary("aten::asinh.out", needsFloats),
  atan: unary("aten::atan.out", needsFloats),
  atanh: unary("aten::atanh.out", needsFloats),
  ceil: unary("aten::ceil.out"),
  cos: unary("aten::cos.out", needsFloats),
  cosh: unary("aten::cosh.out", needsFloats),
  erf: unary("aten::erf.out", needsFloats),
  exp: unary("aten::exp.out", needsFloats),
  floor: unary("aten::floor.out"),
  is_nan: unary("aten::isnan.out", needsFloats),
  log: unary("aten::log.out", needsFloats),
  neg: unary("aten::neg.out"),
  not: unary("aten::logical_not.out"),
  reciprocal: unary("aten::reciprocal.out", needsFloats),
  relu: unary("aten::relu.out"),
  round: unary("aten::round.out"),
  rsqrt: unary("aten::rsqrt.out", needsFloats),
  sigmoid: unary("aten::sigmoid.out", needsFloats),
  sign: unary("aten::sign.out"),
  sin: unary("aten::sin.out", needsFloats),
  sinh: unary("aten::sinh.out", needsFloats),
  sqrt: unary("aten::sqrt.out", needsFloats),
  tan: unary("aten::tan.out", needsFloats),
  tanh: unary("aten::tanh.out", needsFloats),

  add: sum("aten::add.out"),
  sub: sum("aten::sub.out"),
  mul: binary("aten::mul.out"),
  div: binary("aten::div.out", needsFloats),
  maximum: binary("aten::maximum.out"),
  minimum: binary("aten::minimum.out"),
  pow: one((e, node) => {
    const args = { self: e.tensor(node.arg("a")), exponent: e.tensor(node.arg("b")) };
    return e.op("aten::pow.Tensor_Tensor_out", args, node.results[0]!.type);
  }, needsFloats),
  and: binary("aten::logical_and.out"),
  or: binary("aten::logical_or.out"),
  xor: binary("aten::logical_xor.out"),
  equal: binary("aten::eq.Tensor_out"),
  less: binary("aten::lt.Tensor_out"),
  less_equal: binary("aten::le.Tensor_out"),
  greater: binary("aten::gt.Tensor_out"),
  greater_equal: binary("aten::ge.Tensor_out"),

  where: one((e, node) => {
    const [condition, self, other] = (["condition", "a", "b"] as const).map((name) =>
      e.tensor(node.arg(name)),
    );
    const args = { condition: condition!, self: self!, other: other! };
    return e.op("aten::where.self_out", args, node.results[0]!.type);
  }),
  cast: one((e, node) => e.cast(e.tensor(node.arg("x")), node.results[0]!.type.dtype)),
} satisfies Record<string, Decomposition>;
