import type { Node } from "../../../ir/graph.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import type { OpsWith } from "../../ops-with.ts";
import type { tensorOps } from "../aten.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";
import { divideIntegers, powerOfIntegers, remainders } from "./integers.ts";

type UnaryKernel = OpsWith<typeof tensorOps, { readonly self: "tensor" }>;
type BinaryKernel = OpsWith<typeof tensorOps, { readonly self: "tensor"; readonly other: "tensor" }>;

const unary = (op: UnaryKernel): Decomposition =>
  one((e, node) => e.op(op, { self: e.tensor(node.arg("x")) }, node.results[0]!.type));

const binary = (op: BinaryKernel): Decomposition =>
  one((e, node) =>
    e.op(op, { self: e.tensor(node.arg("a")), other: e.tensor(node.arg("b")) }, node.results[0]!.type),
  );

const quotient = binary("aten::div.out");

const sum = (op: "aten::add.out" | "aten::sub.out"): Decomposition =>
  one((e, node) => {
    const args = { self: e.tensor(node.arg("a")), other: e.tensor(node.arg("b")), alpha: 1 };
    return e.op(op, args, node.results[0]!.type);
  });

const ofFloats = (node: Node): boolean => isFloat(node.operands[0]!.type.dtype);

/** Kernels compute these of integers in f32, though there is nothing to round. */
const rounding = (op: UnaryKernel): Decomposition =>
  one((e, node) => {
    const self = e.tensor(node.arg("x"));
    return ofFloats(node) ? e.op(op, { self }, self) : self;
  });

function isInfinite(e: Emitter, node: Node): PortableTensor {
  const self = e.tensor(node.arg("x"));
  const { type } = node.results[0]!;
  const { positive, negative } = node.attrs;
  if (positive === true && negative === true) return e.op("aten::isinf.out", { self }, type);
  // Nothing is less than itself.
  if (positive !== true && negative !== true) return e.op("aten::lt.Tensor_out", { self, other: self }, type);
  const other = { double: positive === true ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY };
  return e.op("aten::eq.Scalar_out", { self, other }, type);
}

export const elementwise = {
  abs: unary("aten::abs.out"),
  acos: unary("aten::acos.out"),
  acosh: unary("aten::acosh.out"),
  asin: unary("aten::asin.out"),
  asinh: unary("aten::asinh.out"),
  atan: unary("aten::atan.out"),
  atanh: unary("aten::atanh.out"),
  bitwise_not: unary("aten::bitwise_not.out"),
  ceil: rounding("aten::ceil.out"),
  cos: unary("aten::cos.out"),
  cosh: unary("aten::cosh.out"),
  erf: unary("aten::erf.out"),
  exp: unary("aten::exp.out"),
  floor: rounding("aten::floor.out"),
  is_inf: one(isInfinite),
  is_nan: unary("aten::isnan.out"),
  log: unary("aten::log.out"),
  neg: unary("aten::neg.out"),
  not: unary("aten::logical_not.out"),
  reciprocal: unary("aten::reciprocal.out"),
  relu: unary("aten::relu.out"),
  round: rounding("aten::round.out"),
  rsqrt: unary("aten::rsqrt.out"),
  sigmoid: unary("aten::sigmoid.out"),
  sign: unary("aten::sign.out"),
  sin: unary("aten::sin.out"),
  sinh: unary("aten::sinh.out"),
  sqrt: unary("aten::sqrt.out"),
  tan: unary("aten::tan.out"),
  tanh: unary("aten::tanh.out"),

  add: sum("aten::add.out"),
  sub: sum("aten::sub.out"),
  mul: binary("aten::mul.out"),
  div: one((e, node) => (ofFloats(node) ? quotient.emit(e, node)[0]! : divideIntegers(e, node))),
  maximum: binary("aten::maximum.out"),
  minimum: binary("aten::minimum.out"),
  pow: one((e, node) => {
    if (!ofFloats(node)) return powerOfIntegers(e, node);
    const args = { self: e.tensor(node.arg("a")), exponent: e.tensor(node.arg("b")) };
    return e.op("aten::pow.Tensor_Tensor_out", args, node.results[0]!.type);
  }),
  ...remainders,
  bitwise_and: binary("aten::bitwise_and.Tensor_out"),
  bitwise_or: binary("aten::bitwise_or.Tensor_out"),
  bitwise_xor: binary("aten::bitwise_xor.Tensor_out"),
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
