import type { ArithmeticOp } from "../../../../ir/ops/signatures.ts";
import { type DType, isFloat } from "../../../../tensor/dtype.ts";
import type { Tensor } from "../../../../tensor/tensor.ts";
import { elementwiseKernels as kernels } from "../../kernels/elementwise.ts";
import { elementwise, type Operator, type Operators } from "../operator.ts";
import { scalar, tensor, text } from "../values.ts";
import { requireFloat, requireSameType, scalarLike } from "./checks.ts";

const cast = (x: Tensor, to: DType): Tensor => kernels.cast({ x }, { to })[0]!;

/** @throws RangeError when a and b have different element types */
export function combine(op: ArithmeticOp, a: Tensor, b: Tensor): Tensor {
  requireSameType(a, b);
  return kernels[op]({ a, b }, {})[0]!;
}

/** @throws RangeError where kernels find an integer divided by 0 */
function requireDivisors({ dtype, data }: Tensor): void {
  if (!isFloat(dtype) && data.includes(0)) throw new RangeError("It divides an integer by 0.");
}

/** @throws RangeError for a tensor of floats */
function requireInteger({ dtype }: Tensor): void {
  if (isFloat(dtype)) throw new RangeError(`It takes integers, not ${dtype}.`);
}

/** A quotient of integers, in the type of the result. */
function divide(a: Tensor, b: Tensor, mode: string, { dtype }: { readonly dtype: DType }): Tensor {
  if (mode !== "trunc" && mode !== "floor") throw new RangeError(`It rounds with "${mode}".`);
  requireDivisors(b);
  requireInteger(a);
  // What is left when it is rounded down has the sign of b.
  const dividend = mode === "floor" ? combine("sub", a, combine("mod", a, b)) : a;
  return cast(combine("div", dividend, b), dtype);
}

/** Of integers, that of C: it has a's sign. */
function remainder(a: Tensor, b: Tensor): Tensor {
  requireDivisors(b);
  return combine(isFloat(a.dtype) ? "mod" : "fmod", a, b);
}

/** In the type of the result, which integers may be wider in than they are. */
function power(a: Tensor, b: Tensor, { dtype }: { readonly dtype: DType }): Tensor {
  if (!isFloat(dtype) && (isFloat(a.dtype) || isFloat(b.dtype)))
    throw new RangeError(`${dtype} holds no such power.`);
  return kernels.pow({ a: cast(a, dtype), b }, {})[0]!;
}

const bitwise = (op: "bitwise_and" | "bitwise_or" | "bitwise_xor"): Operator =>
  elementwise([tensor, tensor], (a, b) => {
    requireInteger(a);
    return combine(op, a, b);
  });

export const arithmeticOperators: Operators = {
  "aten::div.out_mode": elementwise([tensor, tensor, text], divide),
  "aten::div.Scalar_mode_out": elementwise([tensor, scalar, text], (a, b, mode, type) =>
    divide(a, scalarLike(a, b), mode, type),
  ),
  "aten::remainder.Tensor_out": elementwise([tensor, tensor], remainder),
  "aten::remainder.Scalar_out": elementwise([tensor, scalar], (a, b) => remainder(a, scalarLike(a, b))),
  "aten::fmod.Tensor_out": elementwise([tensor, tensor], (a, b) => {
    requireDivisors(b);
    return combine("fmod", a, b);
  }),
  "aten::pow.Tensor_Tensor_out": elementwise([tensor, tensor], power),
  "aten::pow.Scalar_out": elementwise([scalar, tensor], (a, b, type) => power(scalarLike(b, a), b, type)),
  "aten::rsub.Scalar_out": elementwise([tensor, scalar, scalar], (x, from, factor) => {
    const scaled = factor === 1 ? x : combine("mul", x, scalarLike(x, factor));
    return combine("sub", scalarLike(x, from), scaled);
  }),
  "aten::bitwise_and.Tensor_out": bitwise("bitwise_and"),
  "aten::bitwise_or.Tensor_out": bitwise("bitwise_or"),
  "aten::bitwise_xor.Tensor_out": bitwise("bitwise_xor"),
  "aten::bitwise_not.out": elementwise([tensor], (x) => {
    requireInteger(x);
    return (x.dtype === "bool" ? kernels.not : kernels.bitwise_not)({ x }, {})[0]!;
  }),
  "aten::isinf.out": elementwise([tensor], (x) => {
    requireFloat(x);
    return kernels.is_inf({ x }, { positive: true, negative: true })[0]!;
  }),
};
