import {
  addDims,
  type Dim,
  maxDims,
  maxOf,
  minDims,
  minOf,
  multiplyDims,
  subtractDims,
} from "../../../../tensor/dim.ts";
import { broadcastStrides, type Operand, stridesOf } from "../../operands.ts";
import type { StridedCopyParams } from "./kernel.ts";

const dense = (shape: readonly Dim[]) => ({ offset: 0, strides: stridesOf(shape) });

export function transposeCopy(input: Operand, perm: readonly number[]): StridedCopyParams {
  const strides = stridesOf(input.shape);
  const shape = perm.map((axis) => input.shape[axis]!);
  return { input, shape, from: { offset: 0, strides: perm.map((axis) => strides[axis]!) }, to: dense(shape) };
}

/** `shape` is the result's. */
export function expandCopy(input: Operand, shape: readonly Dim[]): StridedCopyParams {
  return {
    input,
    shape,
    from: { offset: 0, strides: broadcastStrides(input.shape, shape) },
    to: dense(shape),
  };
}

/** `starts` as in NumPy, one for each of `axes`, which count from 0; `shape` is the result's. */
export function sliceCopy(
  input: Operand,
  axes: readonly number[],
  starts: readonly Dim[],
  steps: readonly number[],
  shape: readonly Dim[],
): StridedCopyParams {
  const strides = [...stridesOf(input.shape)];
  let offset: Dim = 0;
  axes.forEach((axis, i) => {
    const first = sliceStart(input.shape[axis]!, starts[i]!, steps[i]!);
    offset = addDims(offset, multiplyDims(first, strides[axis]!));
    strides[axis] = multiplyDims(strides[axis]!, steps[i]!);
  });
  return { input, shape, from: { offset, strides }, to: dense(shape) };
}

/** The first position of a slice of an axis, counted from its start. */
function sliceStart(size: Dim, start: Dim, step: number): Dim {
  const isFromEnd = minOf(start) < 0 && maxOf(start) <= 0;
  const first = isFromEnd ? addDims(size, start) : start;
  return maxDims(minDims(first, step > 0 ? size : subtractDims(size, 1)), 0);
}

/** Of input number `index` of those that are joined along `axis`, which counts from 0. A dispatch for each. */
export function concatCopy(inputs: readonly Operand[], axis: number, index: number): StridedCopyParams {
  const input = inputs[index]!;
  const lengths = inputs.map(({ shape }) => shape[axis]!);
  const strides = stridesOf(input.shape.with(axis, lengths.reduce(addDims)));
  const before = lengths.slice(0, index).reduce(addDims, 0);
  return {
    input,
    shape: input.shape,
    from: dense(input.shape),
    to: { offset: multiplyDims(before, strides[axis]!), strides },
  };
}

/** Each axis is two, the repeats outside with a stride of 0. */
export function tileCopy(input: Operand, repeats: readonly number[]): StridedCopyParams {
  const shape = input.shape.flatMap((size, axis) => [repeats[axis]!, size]);
  const strides = stridesOf(input.shape).flatMap((stride) => [0, stride]);
  return { input, shape, from: { offset: 0, strides }, to: dense(shape) };
}
