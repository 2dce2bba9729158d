import type { Node } from "../../../ir/graph.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import { one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";

/** a and b in i64, where no quotient of narrower integers overflows: processors trap on that. */
function operands(e: Emitter, node: Node): readonly [PortableTensor, PortableTensor] {
  return [e.cast(e.tensor(node.arg("a")), "i64"), e.cast(e.tensor(node.arg("b")), "i64")];
}

const inI64 = (node: Node) => ({ dtype: "i64", shape: node.results[0]!.type.shape }) as const;

/** A result in i64 as one of the node's type, wrapped. */
const narrowed = (e: Emitter, node: Node, x: PortableTensor): PortableTensor =>
  e.cast(x, node.results[0]!.type.dtype);

export function divideIntegers(e: Emitter, node: Node): PortableTensor {
  const [self, other] = operands(e, node);
  const args = { self, other, rounding_mode: "trunc" };
  return narrowed(e, node, e.op("aten::div.out_mode", args, inI64(node)));
}

/** Of integers the kernel computes C's remainder, which has a's sign; that with b's sign is ((a % b) + b) % b. */
function remainder(e: Emitter, node: Node, signOf: "a" | "b"): PortableTensor {
  const [self, other] = operands(e, node);
  const rest = e.op("aten::remainder.Tensor_out", { self, other }, inI64(node));
  if (signOf === "a" || resultType(node) === "u8") return narrowed(e, node, rest);
  const sum = e.op("aten::add.out", { self: rest, other, alpha: 1 }, rest);
  return narrowed(e, node, e.op("aten::remainder.Tensor_out", { self: sum, other }, rest));
}

const ofFloats = (e: Emitter, node: Node, op: "aten::remainder.Tensor_out" | "aten::fmod.Tensor_out") =>
  e.op(op, { self: e.tensor(node.arg("a")), other: e.tensor(node.arg("b")) }, node.results[0]!.type);

const resultType = (node: Node) => node.results[0]!.type.dtype;

/** Computed in f64, so that a power that the type does not hold is wrapped from i64. */
export function powerOfIntegers(e: Emitter, node: Node): PortableTensor {
  const [self, exponent] = [e.tensor(node.arg("a")), e.tensor(node.arg("b"))];
  const op = "aten::pow.Tensor_Tensor_out";
  if (!isFloat(exponent.dtype)) return narrowed(e, node, e.op(op, { self, exponent }, inI64(node)));
  const args = { self: e.cast(self, "f64"), exponent: e.cast(exponent, "f64") };
  const power = e.op(op, args, { dtype: "f64", shape: inI64(node).shape });
  return narrowed(e, node, e.cast(power, "i64"));
}

/** By how much is shifted at a time: 2 to it is far from what i64 holds. */
const shiftStep = 32;

/** Shifting as multiplying by 2^b, or dividing by it and rounding down. Beyond the type's width nothing changes. */
const shift = (isLeft: boolean) =>
  one((e, node) => {
    const [a, b] = operands(e, node);
    const steps = resultType(node) === "i64" ? [0, shiftStep] : [0];
    const shifted = steps.reduce((self, from) => {
      const rest = from === 0 ? b : e.op("aten::sub.Scalar_out", { self: b, other: from, alpha: 1 }, b);
      const exponent = e.op("aten::clamp.out", { self: rest, min: 0, max: shiftStep }, b);
      const other = e.op("aten::pow.Scalar_out", { self: 2, exponent }, b);
      return isLeft
        ? e.op("aten::mul.out", { self, other }, inI64(node))
        : e.op("aten::div.out_mode", { self, other, rounding_mode: "floor" }, inI64(node));
    }, a);
    return narrowed(e, node, shifted);
  });

export const remainders = {
  mod: one(
    (e, node) => {
      const isOfFloats = isFloat(resultType(node));
      return isOfFloats ? ofFloats(e, node, "aten::remainder.Tensor_out") : remainder(e, node, "b");
    },
    (node) => (resultType(node) === "f64" ? "its kernel rounds what remains of f64 to f32" : undefined),
  ),
  fmod: one((e, node) =>
    isFloat(resultType(node)) ? ofFloats(e, node, "aten::fmod.Tensor_out") : remainder(e, node, "a"),
  ),
  shift_left: shift(true),
  shift_right: shift(false),
};
