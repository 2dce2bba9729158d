import { movementKernels as kernels } from "../../runtime/cpu/kernels/movement.ts";
import {
  addDims,
  ceilDivideDims,
  type Dim,
  dimKey,
  maxDims,
  maxOf,
  multiplyDims,
  subtractDims,
} from "../../tensor/dim.ts";
import { scalarTensor } from "../../tensor/tensor.ts";
import { tensorType } from "../type.ts";
import { reshapeWeight, transposeWeight } from "../weights.ts";
import { moveContents, numbers, wrapContents } from "./contents.ts";
import { type ArgInfo, InferenceError, type OpTable } from "./op.ts";
import {
  broadcastShapes,
  formatShape,
  knownContents,
  normalizeAxes,
  normalizeAxis,
  requireSameDType,
  reshapedShape,
  sliceLength,
  unifyDims,
} from "./shapes.ts";
import type { MovementOps } from "./signatures.ts";

/** The elements of a shape operand that must have `length` of them. */
function vectorOf(operand: ArgInfo, name: string, length: number): readonly Dim[] {
  const elements = knownContents(operand, name);
  if (elements.length !== length)
    throw new InferenceError(`${name} must have ${length} elements, not ${elements.length}`);
  return elements;
}

function scalarOf(operand: ArgInfo, name: string): Dim {
  return vectorOf(operand, name, 1)[0]!;
}

function requireSizes(sizes: readonly Dim[], name: string): readonly Dim[] {
  if (sizes.some((size) => maxOf(size) < 0))
    throw new InferenceError(`${name} ${formatShape(sizes)} has a negative size`);
  return sizes;
}

/** The number of elements from start up to, but without, limit. */
function rangeLength(start: Dim, limit: Dim, delta: Dim): Dim {
  const span = subtractDims(limit, start);
  if (delta === 0) throw new InferenceError("a range with a step of 0 does not end");
  if (typeof delta !== "number") {
    if (span === 0) return 0;
    throw new InferenceError("needs delta to be a plain number");
  }
  const steps = delta > 0 ? ceilDivideDims(span, delta) : ceilDivideDims(multiplyDims(span, -1), -delta);
  return maxDims(steps, 0);
}

function concatShape(inputs: readonly ArgInfo[], axis: number): readonly Dim[] {
  const [first, ...rest] = inputs.map(({ type }) => type.shape);
  if (first === undefined) throw new InferenceError("needs one input at least");
  const at = normalizeAxis(axis, first.length);
  return rest.reduce<readonly Dim[]>((shape, next) => {
    if (next.length !== shape.length) throw new InferenceError("inputs must be of one rank");
    return shape.map((size, i) => {
      if (i === at) return addDims(size, next[i]!);
      const unified = unifyDims(size, next[i]!);
      if (unified === undefined)
        throw new InferenceError(`sizes ${dimKey(size)} and ${dimKey(next[i]!)} of axis ${i} differ`);
      return unified;
    });
  }, first);
}

function requirePermutation(perm: readonly number[], rank: number): void {
  const isPermutation = perm.length === rank && perm.toSorted((a, b) => a - b).every((axis, i) => axis === i);
  if (!isPermutation) throw new InferenceError(`[${perm.join(", ")}] is no permutation of ${rank} axes`);
}

export const movementOps: OpTable<MovementOps> = {
  reshape: {
    doc: "The elements of x, in row-major order, in another shape; one -1 in it stands for what is left, 0 for zero.",
    args: ["x", "shape"],
    sizes: ["shape"],
    infer: ({ x, shape }) => [
      tensorType(x.type.dtype, reshapedShape(x.type.shape, knownContents(shape, "the shape"))),
    ],
    contents: ({ x }) => x.contents,
    view: (weight, _, { shape }) => reshapeWeight(weight, shape),
    kernel: kernels.reshape,
  },
  expand: {
    doc: "x broadcast with a tensor of the given shape, as in NumPy: either may stretch the other's axes of size 1.",
    args: ["x", "shape"],
    sizes: ["shape"],
    infer({ x, shape }) {
      const target = requireSizes(knownContents(shape, "the shape"), "the shape");
      return [tensorType(x.type.dtype, broadcastShapes(x.type.shape, target))];
    },
    contents({ x, shape }) {
      const target = numbers(shape);
      return target && moveContents([x], ([all]) => kernels.expand({ x: all!, shape: target }, {})[0]!.data);
    },
    kernel: kernels.expand,
  },
  transpose: {
    doc: "x with its axes in another order: axis i of the result is axis perm[i] of x.",
    args: ["x"],
    infer({ x }, { perm }) {
      requirePermutation(perm, x.type.shape.length);
      return [
        tensorType(
          x.type.dtype,
          perm.map((axis) => x.type.shape[axis]!),
        ),
      ];
    },
    contents: ({ x }, attrs) => moveContents([x], ([all]) => kernels.transpose({ x: all! }, attrs)[0]!.data),
    view: (weight, { perm }) => (perm[0] === 1 && perm.length === 2 ? transposeWeight(weight) : undefined),
    kernel: kernels.transpose,
  },
  concat: {
    doc: "The inputs one after the other along `axis`; their dtypes and their other axes agree.",
    args: ["inputs*"],
    infer({ inputs }, { axis }) {
      const shape = concatShape(inputs, axis);
      requireSameDType(Object.fromEntries(inputs.map((input, i) => [`input ${i}`, input])));
      return [tensorType(inputs[0]!.type.dtype, shape)];
    },
    contents: ({ inputs }, attrs) =>
      moveContents(inputs, (all) => kernels.concat({ inputs: all }, attrs)[0]!.data),
    kernel: kernels.concat,
  },
  slice: {
    doc:
      "x[start:end:step] along each of `axes`, as in NumPy: negative bounds count from the end of the axis, those " +
      "beyond it stop at its edge, and a negative step goes backwards.",
    args: ["x", "starts", "ends"],
    sizes: ["starts", "ends"],
    infer({ x, starts, ends }, { axes, steps }) {
      const at = normalizeAxes(axes, x.type.shape.length);
      const from = vectorOf(starts, "starts", at.length);
      const to = vectorOf(ends, "ends", at.length);
      if (steps.length !== at.length) throw new InferenceError(`steps must have ${at.length} elements`);
      const shape = [...x.type.shape];
      at.forEach((axis, i) => {
        shape[axis] = sliceLength(shape[axis]!, from[i]!, to[i]!, steps[i]!);
      });
      return [tensorType(x.type.dtype, shape)];
    },
    contents({ x, starts, ends }, attrs) {
      const from = numbers(starts);
      const to = numbers(ends);
      if (!from || !to) return undefined;
      return moveContents([x], ([all]) => kernels.slice({ x: all!, starts: from, ends: to }, attrs)[0]!.data);
    },
    kernel: kernels.slice,
  },
  pad: {
    doc:
      "x with elements added before and after each axis: `value` (0 when left out), or x's own as `numpy.pad` " +
      "reflects, repeats or wraps them. Negative pads crop.",
    args: ["x", "pads", "value?"],
    sizes: ["pads"],
    infer({ x, pads, value }) {
      const rank = x.type.shape.length;
      const amounts = vectorOf(pads, "pads", 2 * rank);
      if (value !== undefined) requireSameDType({ x, value });
      const shape = x.type.shape.map((size, i) => addDims(addDims(size, amounts[i]!), amounts[rank + i]!));
      return [tensorType(x.type.dtype, requireSizes(shape, "the padded shape"))];
    },
    contents({ x, pads, value }, attrs) {
      const amounts = numbers(pads);
      if (!amounts) return undefined;
      return moveContents(
        value === undefined ? [x] : [x, value],
        ([all, fill]) => kernels.pad({ x: all!, pads: amounts, value: fill }, attrs)[0]!.data,
      );
    },
    kernel: kernels.pad,
  },
  tile: {
    doc: "x repeated repeats[i] times along each axis i.",
    args: ["x", "repeats"],
    sizes: ["repeats"],
    infer({ x, repeats }) {
      const counts = requireSizes(vectorOf(repeats, "repeats", x.type.shape.length), "repeats");
      return [
        tensorType(
          x.type.dtype,
          x.type.shape.map((size, i) => multiplyDims(size, counts[i]!)),
        ),
      ];
    },
    contents({ x, repeats }) {
      const counts = numbers(repeats);
      return counts && moveContents([x], ([all]) => kernels.tile({ x: all!, repeats: counts }, {})[0]!.data);
    },
    kernel: kernels.tile,
  },
  range: {
    doc: "The vector start, start + delta, … as far as it stays before limit; the three are scalars of one dtype.",
    args: ["start", "limit", "delta"],
    sizes: ["start", "limit", "delta"],
    infer({ start, limit, delta }) {
      requireSameDType({ start, limit, delta });
      const length = rangeLength(
        scalarOf(start, "start"),
        scalarOf(limit, "limit"),
        scalarOf(delta, "delta"),
      );
      return [tensorType(start.type.dtype, [length])];
    },
    contents({ start, limit, delta }) {
      const [from, step] = [scalarOf(start, "start"), scalarOf(delta, "delta")];
      const length = rangeLength(from, scalarOf(limit, "limit"), step);
      if (typeof length !== "number") return undefined;
      const elements = Array.from({ length }, (_, i) => addDims(from, multiplyDims(step, i)));
      return wrapContents(start.type.dtype, elements);
    },
    kernel: kernels.range,
  },
  triangle: {
    doc:
      "x with zeros below (`upper`) or above diagonal k of its last two axes; k is 0 when left out, and a positive " +
      "one is above the main diagonal.",
    args: ["x", "k?"],
    sizes: ["k"],
    infer({ x }) {
      if (x.type.shape.length < 2) throw new InferenceError("x must have two axes at least");
      return [x.type];
    },
    contents({ x, k }, attrs) {
      const diagonal = k === undefined ? scalarTensor("i64", 0) : numbers(k);
      return (
        diagonal && moveContents([x], ([all]) => kernels.triangle({ x: all!, k: diagonal }, attrs)[0]!.data)
      );
    },
    kernel: kernels.triangle,
  },
};
