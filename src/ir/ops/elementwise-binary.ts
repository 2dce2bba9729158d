import { elementwiseKernels as kernels } from "../../runtime/cpu/kernels/elementwise.ts";
import {
  addDims,
  areDifferent,
  type Dim,
  floorDivideDims,
  isAtLeast,
  isSymbolic,
  maxDims,
  minDims,
  minOf,
  moduloDims,
  multiplyDims,
  sameDim,
  subtractDims,
} from "../../tensor/dim.ts";
import { isFloat, isInteger } from "../../tensor/dtype.ts";
import { tensorType } from "../type.ts";
import { mapContents, wrapContents } from "./contents.ts";
import { type ArgInfo, type Args, InferenceError, type OpDef, type OpTable } from "./op.ts";
import { broadcastShapes, requireSameDType } from "./shapes.ts";
import type { ArithmeticOp, ComparisonOp, ElementwiseOps } from "./signatures.ts";

type BinaryDef = OpDef<ElementwiseOps[ArithmeticOp]>;
type Known = (a: Dim, b: Dim) => Dim | undefined;
type Domain = "numbers" | "integers" | "bools" | "any";

interface BinaryOptions {
  readonly domain?: Domain;
  readonly commutative?: boolean;
  readonly isComparison?: boolean;
  /** b may have another dtype than a; the result has a's. */
  readonly mixed?: boolean;
  readonly known?: Known;
}

const domains: { readonly [D in Domain]: (args: ArgInfo) => boolean } = {
  numbers: ({ type }) => isFloat(type.dtype) || isInteger(type.dtype),
  integers: ({ type }) => isInteger(type.dtype),
  bools: ({ type }) => type.dtype === "bool",
  any: () => true,
};

const binary = (kernel: BinaryDef["kernel"], formula: string, options: BinaryOptions = {}): BinaryDef => {
  const { domain = "numbers", commutative, isComparison, mixed, known } = options;
  const dtypes = mixed ? "they may differ in dtype, the result has a's" : "they have one dtype";
  return {
    doc: `${formula}, element by element; a and b broadcast as in NumPy, ${isComparison ? "the result is bool" : dtypes}.`,
    args: ["a", "b"],
    ...(commutative && { commutative }),
    infer({ a, b }) {
      if (!mixed) requireSameDType({ a, b });
      if (!domains[domain](a) || !domains[domain](b)) throw new InferenceError(`a and b must be ${domain}`);
      const shape = broadcastShapes(a.type.shape, b.type.shape);
      return [tensorType(isComparison ? "bool" : a.type.dtype, shape)];
    },
    ...(known && {
      contents: ({ a, b }: Args<"a" | "b", ArgInfo>) =>
        wrapContents(isComparison ? "bool" : a.type.dtype, mapContents([a, b], known)),
    }),
    kernel,
  };
};

/** A function of plain numbers. */
const ofNumbers =
  (apply: (a: number, b: number) => number): Known =>
  (a, b) =>
    isSymbolic(a) || isSymbolic(b) ? undefined : apply(a, b);

/** Sizes divide alike whichever way the division rounds. */
const divided: Known = (a, b) => {
  if (!isSymbolic(a) && !isSymbolic(b)) return b === 0 ? 0 : Math.trunc(a / b);
  return minOf(a) >= 0 && minOf(b) >= 0 ? floorDivideDims(a, b) : undefined;
};

/** The sign of the remainder follows the divisor. */
const modulo: Known = (a, b) => {
  if (!isSymbolic(a) && !isSymbolic(b)) return moduloDims(a, b);
  return minOf(b) >= 0 ? moduloDims(a, b) : undefined;
};

/** The sign of the remainder follows the dividend. */
const remainder: Known = (a, b) => {
  if (!isSymbolic(a) && !isSymbolic(b)) return b === 0 ? 0 : a % b;
  return minOf(a) >= 0 && minOf(b) >= 0 ? moduloDims(a, b) : undefined;
};

const isEqual: Known = (a, b) => (sameDim(a, b) ? 1 : areDifferent(a, b) ? 0 : undefined);
const isLess: Known = (a, b) => (isAtLeast(b, addDims(a, 1)) ? 1 : isAtLeast(a, b) ? 0 : undefined);
const isLessOrEqual: Known = (a, b) => (isAtLeast(b, a) ? 1 : isAtLeast(a, addDims(b, 1)) ? 0 : undefined);

const k = kernels;
export const binaryOps: OpTable<Pick<ElementwiseOps, ArithmeticOp | ComparisonOp>> = {
  add: binary(k.add, "a + b", { commutative: true, known: addDims }),
  sub: binary(k.sub, "a - b", { known: subtractDims }),
  mul: binary(k.mul, "a · b", { commutative: true, known: multiplyDims }),
  div: binary(k.div, "a / b, truncated toward zero for integers", { known: divided }),
  mod: binary(k.mod, "The remainder of a / b that has b's sign", { known: modulo }),
  fmod: binary(k.fmod, "The remainder of a / b that has a's sign", { known: remainder }),
  pow: binary(k.pow, "a to the power b", {
    mixed: true,
    known: ofNumbers((a, b) => a ** b),
  }),
  maximum: binary(k.maximum, "The larger of a and b, NaN if either is", {
    commutative: true,
    known: maxDims,
  }),
  minimum: binary(k.minimum, "The smaller of a and b, NaN if either is", {
    commutative: true,
    known: minDims,
  }),
  and: binary(k.and, "a and b", {
    domain: "bools",
    commutative: true,
    known: ofNumbers((a, b) => a & b),
  }),
  or: binary(k.or, "a or b", {
    domain: "bools",
    commutative: true,
    known: ofNumbers((a, b) => a | b),
  }),
  xor: binary(k.xor, "Either a or b but not both", {
    domain: "bools",
    commutative: true,
    known: ofNumbers((a, b) => a ^ b),
  }),
  bitwise_and: binary(k.bitwise_and, "The bits set in both a and b", {
    domain: "integers",
    commutative: true,
  }),
  bitwise_or: binary(k.bitwise_or, "The bits set in a or b", { domain: "integers", commutative: true }),
  bitwise_xor: binary(k.bitwise_xor, "The bits set in one of a and b", {
    domain: "integers",
    commutative: true,
  }),
  shift_left: binary(k.shift_left, "a with its bits moved up by b places", { domain: "integers" }),
  shift_right: binary(k.shift_right, "a with its bits moved down by b places, the sign kept", {
    domain: "integers",
  }),
  equal: binary(k.equal, "Whether a = b", {
    domain: "any",
    commutative: true,
    isComparison: true,
    known: isEqual,
  }),
  less: binary(k.less, "Whether a < b", { isComparison: true, known: isLess }),
  less_equal: binary(k.less_equal, "Whether a ≤ b", { isComparison: true, known: isLessOrEqual }),
  greater: binary(k.greater, "Whether a > b", { isComparison: true, known: (a, b) => isLess(b, a) }),
  greater_equal: binary(k.greater_equal, "Whether a ≥ b", {
    isComparison: true,
    known: (a, b) => isLessOrEqual(b, a),
  }),
};
