import type { ArithmeticOp, UnaryOp } from "../../../../ir/ops/signatures.ts";
import type { Tensor } from "../../../../tensor/tensor.ts";
import { elementwiseKernels } from "../../kernels/elementwise.ts";
import { apply, type Compare, comparisons } from "../../kernels/elementwise-by-name.ts";
import { neuralKernels } from "../../kernels/neural.ts";
import { elementwise, type Operator, type Operators } from "../operator.ts";
import { denseFormat, optional, scalar, tensor, text } from "../values.ts";
import { combine } from "./arithmetic.ts";
import { filled, requireFloat, requireSameType, scalarLike } from "./checks.ts";

const unary = (op: UnaryOp): Operator => elementwise([tensor], (x) => apply(op, x));
const floating = (op: UnaryOp): Operator =>
  elementwise([tensor], (x) => {
    requireFloat(x);
    return apply(op, x);
  });
const binary = (op: ArithmeticOp): Operator => elementwise([tensor, tensor], (a, b) => combine(op, a, b));

/** a + alpha · b, or a - alpha · b. */
const sum = (op: "add" | "sub", a: Tensor, b: Tensor, alpha: number): Tensor =>
  combine(op, a, alpha === 1 ? b : combine("mul", b, scalarLike(b, alpha)));
/** ExecuTorch divides integers as floats. */
const quotient = (a: Tensor, b: Tensor): Tensor => {
  requireFloat(a);
  return combine("div", a, b);
};

const isTrue = (x: Tensor): Tensor => elementwiseKernels.cast({ x }, { to: "bool" })[0]!;
const logical = (op: "and" | "or" | "xor"): Operator =>
  elementwise([tensor, tensor], (a, b) => combine(op, isTrue(a), isTrue(b)));

const where = (condition: Tensor, a: Tensor, b: Tensor): Tensor => {
  requireSameType(a, b);
  if (condition.dtype !== "bool" && condition.dtype !== "u8")
    throw new RangeError(`Its condition is ${condition.dtype}.`);
  return elementwiseKernels.where({ condition, a, b }, {})[0]!;
};

function clamp(x: Tensor, low: Tensor | null, high: Tensor | null): Tensor {
  if (low === null && high === null) throw new RangeError("It has neither a least nor a largest value.");
  const raised = low === null ? x : combine("maximum", x, low);
  return high === null ? raised : combine("minimum", raised, high);
}

const unaryOps = ["abs", "neg", "floor", "ceil", "round", "sign", "relu"] as const;
const floatOps = [
  ...["exp", "log", "sqrt", "rsqrt", "reciprocal", "erf", "sigmoid"],
  ...["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"],
] as readonly UnaryOp[];

const named = (names: readonly string[], make: (name: string) => readonly [string, Operator][]) =>
  Object.fromEntries(names.flatMap(make));

/** Numbers where the other operand is a tensor have a variant of their own, here after the tensor's. */
export const elementwiseOperators: Operators = {
  ...named(unaryOps, (name) => [[`aten::${name}.out`, unary(name as UnaryOp)]]),
  ...named(floatOps, (name) => [[`aten::${name}.out`, floating(name as UnaryOp)]]),
  ...named(Object.keys(comparisons), (name) => {
    const compare: Compare = (a, b) => {
      requireSameType(a, b);
      return comparisons[name as keyof typeof comparisons](a, b);
    };
    return [
      [`aten::${name}.Tensor_out`, elementwise([tensor, tensor], compare)],
      [`aten::${name}.Scalar_out`, elementwise([tensor, scalar], (a, b) => compare(a, scalarLike(a, b)))],
    ];
  }),
  ...named(["add", "sub"], (name) => {
    const op = name as "add" | "sub";
    return [
      [`aten::${op}.out`, elementwise([tensor, tensor, scalar], (a, b, alpha) => sum(op, a, b, alpha))],
      [
        `aten::${op}.Scalar_out`,
        elementwise([tensor, scalar, scalar], (a, b, alpha) => sum(op, a, scalarLike(a, b), alpha)),
      ],
    ];
  }),
  "aten::mul.out": binary("mul"),
  "aten::mul.Scalar_out": elementwise([tensor, scalar], (a, b) => combine("mul", a, scalarLike(a, b))),
  "aten::div.out": elementwise([tensor, tensor], quotient),
  "aten::div.Scalar_out": elementwise([tensor, scalar], (a, b) => quotient(a, scalarLike(a, b))),
  "aten::maximum.out": binary("maximum"),
  "aten::minimum.out": binary("minimum"),
  "aten::pow.Tensor_Scalar_out": elementwise([tensor, scalar], (a, b) => combine("pow", a, scalarLike(a, b))),
  "aten::logical_and.out": logical("and"),
  "aten::logical_or.out": logical("or"),
  "aten::logical_xor.out": logical("xor"),
  "aten::logical_not.out": elementwise([tensor], (x) => apply("not", isTrue(x))),
  "aten::isnan.out": unary("is_nan"),
  "aten::where.self_out": elementwise([tensor, tensor, tensor], where),
  "aten::masked_fill.Scalar_out": elementwise([tensor, tensor, scalar], (x, mask, value) =>
    where(mask, scalarLike(x, value), x),
  ),
  "aten::clamp.out": elementwise([tensor, optional(scalar), optional(scalar)], (x, low, high) =>
    clamp(x, low === null ? null : scalarLike(x, low), high === null ? null : scalarLike(x, high)),
  ),
  "aten::clamp.Tensor_out": elementwise([tensor, optional(tensor), optional(tensor)], clamp),
  "aten::gelu.out": elementwise([tensor, text], (x, approximate) => {
    requireFloat(x);
    if (approximate !== "none" && approximate !== "tanh")
      throw new RangeError(`It approximates "${approximate}".`);
    return neuralKernels["nn.gelu"]({ x }, { approximate })[0]!;
  }),
  "aten::full_like.out": elementwise([tensor, scalar, denseFormat], (x, value) =>
    filled(x.dtype, x.shape, scalarLike(x, value)),
  ),
};
