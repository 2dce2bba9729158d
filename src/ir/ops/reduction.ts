import { reductionKernels as kernels } from "../../runtime/cpu/kernels/reduction.ts";
import { contiguousStrides } from "../../runtime/cpu/kernels/strides.ts";
import {
  addDims,
  areDifferent,
  type Dim,
  dimKey,
  isAtLeast,
  maxDims,
  minDims,
  multiplyDims,
} from "../../tensor/dim.ts";
import { isFloat, isInteger } from "../../tensor/dtype.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { isStatic, tensorType } from "../type.ts";
import { allKnown, wrapContents } from "./contents.ts";
import { type ArgInfo, InferenceError, type OpDef, type OpTable } from "./op.ts";
import { knownContents, normalizeAxes, normalizeAxis } from "./shapes.ts";
import type { ReduceOp, ReductionOps } from "./signatures.ts";

type ReduceDef = OpDef<ReductionOps[ReduceOp]>;

interface ReduceOptions {
  readonly acceptsBool?: boolean;
  readonly known?: { readonly combine: (a: Dim, b: Dim) => Dim; readonly empty?: Dim };
}

function requireNumber({ type }: ArgInfo, acceptsBool = false): void {
  if (!isFloat(type.dtype) && !isInteger(type.dtype) && !(acceptsBool && type.dtype === "bool"))
    throw new InferenceError(acceptsBool ? "x must be a number or bool" : "x must be a number");
}

const reduce = (
  kernel: ReduceDef["kernel"],
  formula: string,
  { acceptsBool = false, known }: ReduceOptions = {},
): ReduceDef => ({
  doc: `${formula} over \`axes\` (none: x itself), which are left out of the result's shape or kept as 1.`,
  args: ["x"],
  infer({ x }, { axes, keepdims }) {
    requireNumber(x, acceptsBool);
    const reduced = new Set(normalizeAxes(axes, x.type.shape.length));
    const shape = keepdims
      ? x.type.shape.map((size, i) => (reduced.has(i) ? 1 : size))
      : x.type.shape.filter((_, i) => !reduced.has(i));
    return [tensorType(x.type.dtype, shape)];
  },
  ...(known && {
    contents({ x }: { readonly x: ArgInfo }, { axes }: { readonly axes: readonly number[] }) {
      const { shape, dtype } = x.type;
      if (x.contents === undefined || !isStatic(shape)) return undefined;
      const reduced = new Set(normalizeAxes(axes, shape.length));
      const kept = shape.map((size, i) => (reduced.has(i) ? 1 : size));
      const strides = contiguousStrides(shape);
      const resultStrides = contiguousStrides(kept);
      const sums = new Array<Dim | undefined>(elementCount(kept)).fill(known.empty);
      x.contents.forEach((element, i) => {
        let at = 0;
        for (let axis = 0; axis < shape.length; axis++)
          if (!reduced.has(axis))
            at += (Math.floor(i / strides[axis]!) % shape[axis]!) * resultStrides[axis]!;
        const sum = sums[at];
        sums[at] = sum === undefined ? element : known.combine(sum, element);
      });
      return wrapContents(dtype, allKnown(sums));
    },
  }),
  kernel,
});

type ArgDef = OpDef<ReductionOps["argmax" | "argmin"]>;

const bestIndex = (kernel: ArgDef["kernel"], which: string): ArgDef => ({
  doc:
    `Index (i64) of the ${which} element along \`axis\`, the first or, with \`last\`, the last of equal ones; ` +
    "NaN comes before any number. The axis is left out of the result's shape or kept as 1.",
  args: ["x"],
  infer({ x }, { axis, keepdims }) {
    requireNumber(x);
    const { shape } = x.type;
    const at = normalizeAxis(axis, shape.length);
    return [tensorType("i64", keepdims ? shape.with(at, 1) : shape.toSpliced(at, 1))];
  },
  kernel,
});

export const reductionOps: OpTable<ReductionOps> = {
  reduce_sum: reduce(kernels.reduce_sum, "The sum", { known: { combine: addDims, empty: 0 } }),
  reduce_mean: reduce(kernels.reduce_mean, "The arithmetic mean, truncated for integers,"),
  reduce_max: reduce(kernels.reduce_max, "The largest element", {
    acceptsBool: true,
    known: { combine: maxDims },
  }),
  reduce_min: reduce(kernels.reduce_min, "The smallest element", {
    acceptsBool: true,
    known: { combine: minDims },
  }),
  reduce_prod: reduce(kernels.reduce_prod, "The product", { known: { combine: multiplyDims, empty: 1 } }),
  argmax: bestIndex(kernels.argmax, "largest"),
  argmin: bestIndex(kernels.argmin, "smallest"),
  cumsum: {
    doc:
      "Sums of the elements up to each one along `axis`, itself left out with `exclusive`, from the end with " +
      "`reverse`; the result has the shape of x.",
    args: ["x"],
    infer({ x }, { axis }) {
      requireNumber(x);
      normalizeAxis(axis, x.type.shape.length);
      return [x.type];
    },
    kernel: kernels.cumsum,
  },
  topk: {
    doc:
      "The k largest or smallest elements along `axis`, best first, and their indices (i64); of equal elements the " +
      "one with the lower index comes first, and NaN counts as the largest number.",
    args: ["x", "k"],
    sizes: ["k"],
    infer({ x, k }, { axis }) {
      requireNumber(x);
      const at = normalizeAxis(axis, x.type.shape.length);
      const [count, ...more] = knownContents(k, "k");
      if (count === undefined || more.length > 0) throw new InferenceError("k must have one element");
      const size = x.type.shape[at]!;
      if (isAtLeast(count, size) && areDifferent(count, size))
        throw new InferenceError(`k is ${dimKey(count)}, the axis has ${dimKey(size)} elements`);
      const shape = x.type.shape.with(at, count);
      return [tensorType(x.type.dtype, shape), tensorType("i64", shape)];
    },
    kernel: kernels.topk,
  },
};
