import { elementwiseKernels as kernels } from "../../runtime/cpu/kernels/elementwise.ts";
import {
  areDifferent,
  type Dim,
  isAtLeast,
  isSymbolic,
  maxOf,
  minOf,
  multiplyDims,
  sameDim,
} from "../../tensor/dim.ts";
import { type DType, integerRange, isFloat, isInteger, isTernaryBlock } from "../../tensor/dtype.ts";
import { tensorType } from "../type.ts";
import { mapRows } from "../weights.ts";
import { mapContents, wrapContents } from "./contents.ts";
import { binaryOps } from "./elementwise-binary.ts";
import { type ArgInfo, InferenceError, type OpDef, type OpTable } from "./op.ts";
import { broadcastShapes, requireSameDType } from "./shapes.ts";
import type { ElementwiseOps, UnaryOp } from "./signatures.ts";

type UnaryDef = OpDef<ElementwiseOps[UnaryOp]>;

/** The dtypes that an op takes, and how a message calls them. */
interface Domain {
  readonly name: string;
  readonly has: (dtype: DType) => boolean;
}
const float: Domain = { name: "a float", has: isFloat };
const number: Domain = { name: "a number", has: (dtype) => isFloat(dtype) || isInteger(dtype) };
const integer: Domain = { name: "an integer", has: isInteger };
const bool: Domain = { name: "bool", has: (dtype) => dtype === "bool" };

interface UnaryOptions {
  readonly result?: DType;
  readonly known?: (x: Dim) => Dim | undefined;
}

const unary = (
  kernel: UnaryDef["kernel"],
  domain: Domain,
  formula: string,
  { result, known }: UnaryOptions = {},
): UnaryDef => ({
  doc: `${formula}, element by element; the result has the shape of x.`,
  args: ["x"],
  rowwise: "x",
  infer({ x }) {
    if (!domain.has(x.type.dtype)) throw new InferenceError(`x must be ${domain.name}`);
    return [tensorType(result ?? x.type.dtype, x.type.shape)];
  },
  ...(known && {
    contents: ({ x }: { readonly x: ArgInfo }) => wrapContents(x.type.dtype, mapContents([x], known)),
  }),
  kernel,
});

const negative = (x: Dim): Dim => multiplyDims(x, -1);

function magnitude(x: Dim): Dim | undefined {
  if (isAtLeast(x, 0)) return x;
  return isAtLeast(0, x) ? negative(x) : undefined;
}

function signOf(x: Dim): Dim | undefined {
  if (typeof x === "number") return Math.sign(x);
  if (isAtLeast(x, 1)) return 1;
  return isAtLeast(-1, x) ? -1 : undefined;
}

/** 0 or 1, where it is certain which. */
function isNonzero(x: Dim): Dim | undefined {
  if (sameDim(x, 0)) return 0;
  return areDifferent(x, 0) ? 1 : undefined;
}

const notOf = (x: Dim): Dim | undefined => {
  const truth = isNonzero(x);
  return truth === undefined ? undefined : truth === 0 ? 1 : 0;
};

const k = kernels;
const unaryOps: OpTable<Pick<ElementwiseOps, UnaryOp>> = {
  neg: unary(k.neg, number, "-x", { known: negative }),
  abs: unary(k.abs, number, "|x|", { known: magnitude }),
  sign: unary(k.sign, number, "-1, 0 or 1 as x is negative, zero or positive", { known: signOf }),
  exp: unary(k.exp, float, "e^x"),
  log: unary(k.log, float, "The natural logarithm of x"),
  sqrt: unary(k.sqrt, float, "√x"),
  rsqrt: unary(k.rsqrt, float, "1/√x"),
  reciprocal: unary(k.reciprocal, float, "1/x"),
  floor: unary(k.floor, number, "The largest integer up to x", { known: (x) => x }),
  ceil: unary(k.ceil, number, "The smallest integer from x on", { known: (x) => x }),
  round: unary(k.round, number, "The nearest integer, ties to the even one", { known: (x) => x }),
  sin: unary(k.sin, float, "sin x, x in radians"),
  cos: unary(k.cos, float, "cos x, x in radians"),
  tan: unary(k.tan, float, "tan x, x in radians"),
  asin: unary(k.asin, float, "The angle in radians, from -π/2 to π/2, whose sine is x"),
  acos: unary(k.acos, float, "The angle in radians, from 0 to π, whose cosine is x"),
  atan: unary(k.atan, float, "The angle in radians, from -π/2 to π/2, whose tangent is x"),
  sinh: unary(k.sinh, float, "The hyperbolic sine (e^x - e^-x)/2"),
  cosh: unary(k.cosh, float, "The hyperbolic cosine (e^x + e^-x)/2"),
  tanh: unary(k.tanh, float, "The hyperbolic tangent sinh x / cosh x"),
  asinh: unary(k.asinh, float, "The number whose hyperbolic sine is x"),
  acosh: unary(k.acosh, float, "The number from 0 on whose hyperbolic cosine is x"),
  atanh: unary(k.atanh, float, "The number whose hyperbolic tangent is x"),
  erf: unary(k.erf, float, "The error function 2/√π ∫₀ˣ e^(-t²) dt"),
  sigmoid: unary(k.sigmoid, float, "The logistic function 1/(1 + e^-x)"),
  relu: unary(k.relu, number, "max(x, 0)"),
  not: unary(k.not, bool, "Logical negation", { known: notOf }),
  bitwise_not: unary(k.bitwise_not, integer, "Each bit inverted"),
  is_nan: unary(k.is_nan, float, "Whether x is not a number", { result: "bool" }),
};

function castContents(x: ArgInfo, to: DType) {
  if (to === "bool") return mapContents([x], isNonzero);
  const range = integerRange(to);
  if (range === undefined) return undefined;
  const fits = (dim: Dim) => !isSymbolic(dim) || (minOf(dim) >= range[0] && maxOf(dim) <= range[1]);
  return wrapContents(
    to,
    mapContents([x], (dim) => (fits(dim) ? dim : undefined)),
  );
}

export const elementwiseOps: OpTable<ElementwiseOps> = {
  ...unaryOps,
  ...binaryOps,
  where: {
    doc: "a where the condition (bool) holds, else b; all three broadcast as in NumPy, a and b have one dtype.",
    args: ["condition", "a", "b"],
    infer({ condition, a, b }) {
      if (condition.type.dtype !== "bool") throw new InferenceError("the condition must be bool");
      requireSameDType({ a, b });
      return [tensorType(a.type.dtype, broadcastShapes(condition.type.shape, a.type.shape, b.type.shape))];
    },
    contents: ({ condition, a, b }) =>
      mapContents([condition, a, b], (c, p, q) =>
        sameDim(p!, q!) ? p : isSymbolic(c!) ? undefined : c === 0 ? q : p,
      ),
    kernel: kernels.where,
  },
  cast: {
    doc: "x as another dtype: floats are rounded to nearest even, or truncated and wrapped to integers; bool is x ≠ 0.",
    args: ["x"],
    rowwise: "x",
    infer({ x }, { to }) {
      if (isTernaryBlock(x.type.dtype) || isTernaryBlock(to))
        throw new InferenceError("packed ternary blocks are not cast");
      return [tensorType(to, x.type.shape)];
    },
    contents: ({ x }, { to }) => castContents(x, to),
    view: (weight, { to }, result) =>
      mapRows(weight, `cast ${to}`, result, (chunk) => kernels.cast({ x: chunk }, { to })[0]!),
    kernel: kernels.cast,
  },
  is_inf: {
    doc: "Whether x is infinite, of the signs asked for, element by element; the result has the shape of x.",
    args: ["x"],
    rowwise: "x",
    infer({ x }) {
      if (!isFloat(x.type.dtype)) throw new InferenceError("x must be a float");
      return [tensorType("bool", x.type.shape)];
    },
    kernel: kernels.is_inf,
  },
};
