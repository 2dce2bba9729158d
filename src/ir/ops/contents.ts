import { broadcastStrides } from "../../runtime/cpu/kernels/broadcast.ts";
import { elementOffsets } from "../../runtime/cpu/kernels/strides.ts";
import { type Dim, isSymbolic } from "../../tensor/dim.ts";
import { bitsPerElement, type DType, isInteger } from "../../tensor/dtype.ts";
import { elementCount, type Tensor, type TensorData, tensor, toInteger } from "../../tensor/tensor.ts";
import { isStatic } from "../type.ts";
import { type ArgInfo, InferenceError } from "./op.ts";
import { broadcastShapes } from "./shapes.ts";

/** The known elements of a value; undefined too where the shape they fill is not a plain one. */
export type Contents = readonly Dim[] | undefined;

/** The list, if none of it is missing. */
export const allKnown = (dims: readonly (Dim | undefined)[]): Contents =>
  dims.every((dim) => dim !== undefined) ? dims : undefined;

/**
 * Wraps known numbers as a kernel that computes in `dtype` does; a size fits in any type that holds sizes. Unknown
 * where the number is too large to be exact.
 */
export function wrapContents(dtype: DType, contents: Contents): Contents {
  if (contents === undefined || !isInteger(dtype)) return contents;
  // 64-bit integers are held as doubles by the kernels too
  const isExact = (value: number) => bitsPerElement(dtype) === 64 || Number.isSafeInteger(Math.trunc(value));
  const wrap = (dim: Dim): Dim | undefined => {
    if (isSymbolic(dim)) return dim;
    return isExact(dim) ? toInteger(dtype, dim) + 0 : undefined;
  };
  return allKnown(contents.map(wrap));
}

/** Applies a function element by element to broadcast arguments; unknown as soon as one result is. */
export function mapContents(
  args: readonly ArgInfo[],
  apply: (...elements: readonly Dim[]) => Dim | undefined,
): Contents {
  const shapes = args.map(({ type }) => type.shape);
  if (!args.every(({ contents }) => contents !== undefined) || !shapes.every(isStatic)) return undefined;
  const shape = broadcastShapes(...shapes) as number[];
  const offsets = shapes.map((each) => elementOffsets(shape, broadcastStrides(each, shape)));
  return allKnown(
    Array.from({ length: elementCount(shape) }, (_, i) =>
      apply(...args.map(({ contents }, k) => contents![offsets[k]![i]!]!)),
    ),
  );
}

/** The argument as a tensor, where all of its elements are plain numbers. */
export function numbers(operand: ArgInfo): Tensor | undefined {
  const { contents, type } = operand;
  if (contents === undefined || !isStatic(contents) || !isStatic(type.shape)) return undefined;
  return tensor("i64", type.shape, contents);
}

/**
 * Contents of an op that only moves elements. Its kernel runs on tensors that number the elements of `moved`, all of
 * them in one sequence from 1 on; a 0 in the result is an element that the op itself puts in.
 * @throws InferenceError when the kernel finds an index out of range
 */
export function moveContents(
  moved: readonly ArgInfo[],
  run: (numbered: readonly Tensor[]) => TensorData | undefined,
): Contents {
  const shapes = moved.map(({ type }) => type.shape);
  if (!moved.every(({ contents }) => contents !== undefined) || !shapes.every(isStatic)) return undefined;
  const pool: Dim[] = [0];
  const numbered = moved.map(({ contents }, k) => {
    const first = pool.length;
    pool.push(...contents!);
    const ordinals = contents!.map((_, i) => first + i);
    return tensor("i64", shapes[k] as readonly number[], ordinals);
  });
  try {
    const order = run(numbered);
    return order && Array.from(order, (ordinal) => pool[ordinal]!);
  } catch (error) {
    if (error instanceof RangeError) throw new InferenceError(error.message);
    throw error;
  }
}
