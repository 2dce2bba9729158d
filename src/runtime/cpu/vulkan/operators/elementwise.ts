import type { UnaryOp } from "../../../../ir/ops/signatures.ts";
import { type DType, isFloat } from "../../../../tensor/dtype.ts";
import type { Tensor } from "../../../../tensor/tensor.ts";
import { broadcastShapes } from "../../kernels/broadcast.ts";
import { elementwiseKernels } from "../../kernels/elementwise.ts";
import { apply, type Compare, combine, comparisons } from "../../kernels/elementwise-by-name.ts";
import { map } from "../../kernels/map.ts";
import { neuralKernels } from "../../kernels/neural.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import { constant, ignored, number, operand, optional, tensor, text } from "../kinds.ts";
import { type Faults, type Operator, type Operators, op } from "../operator.ts";
import { anyDType, hasShape, numeric, sameFloats, sameType, scalarLike, shapeText } from "./checks.ts";

const unary = (name: UnaryOp): Operator =>
  op(
    [tensor],
    (x) => apply(name, x),
    (x, out) => sameFloats(x, out),
  );

/** The runtime wants the bounds to broadcast to exactly that of the result. */
function broadcastFaults(a: GraphTensor, b: GraphTensor, out: GraphTensor): Faults {
  try {
    const shape = broadcastShapes(a.bound, b.bound);
    return [
      shape.join() !== out.bound.join() &&
        `a result of ${shapeText(out.bound)} in place of ${shapeText(shape)}`,
      [a, b].some(({ layout }) => layout !== out.layout) && "tensors of different layouts",
    ];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return [`${shapeText(a.bound)} and ${shapeText(b.bound)}, which do not broadcast`];
  }
}

const arithmetic = (compute: (a: Tensor, b: Tensor) => Tensor): Operator =>
  op([operand, operand], compute, (a, b, out) => [
    ...sameType(numeric, a, b, out),
    ...broadcastFaults(a, b, out),
  ]);

/** a + alpha · b, or a - alpha · b. */
const sum = (name: "add" | "sub"): Operator =>
  op(
    [operand, operand, number],
    (a, b, alpha) => combine(name, a, alpha === 1 ? b : combine("mul", b, scalarLike(b, alpha))),
    (a, b, alpha, out) => [
      ...sameType(numeric, a, b, out),
      ...broadcastFaults(a, b, out),
      a.dtype === "i32" && alpha !== 1 && `integers times ${alpha}`,
    ],
  );

/** The sign comes back for odd powers only, and no power of 0 but the zeroth is anything but 0. */
const powerOf = (x: number, y: number): number => {
  if (x === 0) return y === 0 ? 1 : 0;
  const power = Math.abs(x) ** y;
  return x < 0 && Number.isInteger(y) && Math.abs(y) % 2 === 1 ? -power : power;
};

/** Floats are equal where they are nearly so. */
const nearlyEqual: Compare = (a, b) =>
  a.dtype === "i32"
    ? combine("equal", a, b)
    : combine("less", apply("abs", combine("sub", a, b)), scalarLike(a, 1e-5));

const givesTruth = (out: GraphTensor): string | false =>
  out.dtype !== "bool" && `a result of ${out.dtype} in place of bool`;
const compareTensors = (compare: Compare): Operator =>
  op([operand, operand], compare, (a, b, out) => [
    ...sameType(numeric, a, b),
    ...broadcastFaults(a, b, out),
    givesTruth(out),
  ]);
const compareNumber = (compare: Compare): Operator =>
  op(
    [operand, number],
    (x, value) => compare(x, scalarLike(x, value)),
    (x, value, out) => [
      ...sameType(numeric, x),
      x.dtype === "i32" && !Number.isInteger(value) && `integers and ${value}`,
      givesTruth(out),
    ],
  );

const bits = (name: "bitwise_and" | "bitwise_or"): Operator =>
  op(
    [operand, operand],
    (a, b) => combine(name, a, b),
    (a, b, out) => [...sameType(["bool", "u8"], a, b, out), ...broadcastFaults(a, b, out)],
  );

const clamp = op(
  [tensor, optional(number), optional(number)],
  (x, low, high) => {
    const raised = low === null ? x : combine("maximum", x, scalarLike(x, low));
    return high === null ? raised : combine("minimum", raised, scalarLike(x, high));
  },
  (x, _low, _high, out) => sameType(numeric, x, out),
);

/** The pairs of types that there are shaders for, of those that differ. */
const conversions: readonly string[] = [
  ...["i32 f32", "i32 f16", "u8 f32", "u8 f16", "u8 i32", "bool f32", "bool f16", "bool i32"],
  ...["f32 i32", "f32 f16", "f16 f32", "f16 i32"],
];
const canConvert = (from: DType, to: DType): boolean => from === to || conversions.includes(`${from} ${to}`);

const unaryOps = ["abs", "cos", "exp", "neg", "round", "rsqrt", "sigmoid", "sin", "sqrt", "tanh"] as const;

export const elementwiseOperators: Operators = {
  ...Object.fromEntries(unaryOps.map((name) => [`aten.${name}.default`, unary(name)])),
  "aten.relu.default": unary("relu"),
  "aten.bitwise_not.default": op(
    [tensor],
    (x) => apply(x.dtype === "bool" ? "not" : "bitwise_not", x),
    (x, out) => sameType(["bool", "u8"], x, out),
  ),
  // It is approximated whatever the string.
  "aten.gelu.default": op(
    [tensor, text],
    (x) => neuralKernels["nn.gelu"]({ x }, { approximate: "tanh" })[0]!,
    (x, _approximate, out) => sameFloats(x, out),
  ),
  "aten.clamp.default": clamp,
  "aten.hardtanh.default": clamp,
  "aten.add.Tensor": sum("add"),
  "aten.sub.Tensor": sum("sub"),
  "aten.mul.Tensor": arithmetic((a, b) => combine("mul", a, b)),
  "aten.div.Tensor": arithmetic((a, b) => combine("div", a, b)),
  "aten.div.Tensor_mode": op(
    [operand, operand, text],
    (a, b) => apply("floor", combine("div", a, b)),
    (a, b, mode, out) => [
      ...sameFloats(a, b, out),
      ...broadcastFaults(a, b, out),
      mode !== "floor" && `the rounding "${mode}" in place of "floor"`,
    ],
  ),
  "aten.minimum.default": arithmetic((a, b) => combine("minimum", a, b)),
  "aten.pow.Tensor_Tensor": arithmetic((a, b) => combine("pow", a, b)),
  "aten.pow.Tensor_Scalar": op(
    [operand, number],
    (x, exponent) => map((value) => powerOf(value, exponent))({ x })[0],
    (x, _exponent, out) => sameType(numeric, x, out),
  ),
  ...Object.fromEntries(
    Object.entries(comparisons).flatMap(([name, compare]) => [
      [`aten.${name}.Scalar`, compareNumber(compare)],
      ...(name === "ne"
        ? []
        : [[`aten.${name}.Tensor`, compareTensors(name === "eq" ? nearlyEqual : compare)]]),
    ]),
  ),
  "aten.bitwise_and.Tensor": bits("bitwise_and"),
  "aten.logical_and.default": bits("bitwise_and"),
  "aten.bitwise_or.Tensor": bits("bitwise_or"),
  "aten.logical_or.default": bits("bitwise_or"),
  "aten.where.self": op(
    [tensor, tensor, tensor],
    (condition, a, b) => elementwiseKernels.where({ condition, a, b }, {})[0]!,
    (condition, a, b, out) => [
      ...sameFloats(a, b, out),
      !["bool", "u8"].includes(condition.dtype) && `a condition of ${condition.dtype}`,
    ],
  ),
  "aten._to_copy.default": op(
    [tensor, ignored, ignored, ignored, ignored, ignored, ignored],
    (x, ...more) => elementwiseKernels.cast({ x }, { to: more[6].dtype })[0]!,
    (x, ...more) => {
      const out = more[6];
      return [
        !canConvert(x.dtype, out.dtype) && `${x.dtype} to become ${out.dtype}`,
        // The runtime copies it as an image.
        (x.isBuffer || out.isBuffer) &&
          (x.dtype === out.dtype || (isFloat(x.dtype) && isFloat(out.dtype))) &&
          `${x.dtype} in a buffer to become ${out.dtype}`,
      ];
    },
  ),
  "aten.clone.default": op(
    [tensor, ignored],
    (x) => x,
    (x, _format, out) => sameType(anyDType, x, out),
  ),
  "et_vk.prepack.default": {
    ...op(
      [constant],
      (data) => data,
      (data, out) => [...sameType(anyDType, data, out), hasShape(out, data.bound, "a result")],
    ),
    isOnce: true,
  },
};
