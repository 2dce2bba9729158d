import type { DType } from "../../../../tensor/dtype.ts";
import { scalarTensor, type Tensor, tensor } from "../../../../tensor/tensor.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import type { Faults } from "../operator.ts";

export const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

const floats: readonly DType[] = ["f32", "f16"];
export const numeric: readonly DType[] = [...floats, "i32"];
export const anyDType: readonly DType[] = [...numeric, "i8", "u8", "bool"];

/** That all of them have one type, which is among those that there are shaders for. */
export const sameType = (allowed: readonly DType[], ...tensors: readonly (GraphTensor | null)[]): Faults => {
  const types = [...new Set(tensors.flatMap((each) => each?.dtype ?? []))];
  return [
    types.length > 1 && `tensors of ${types.join(" and ")}`,
    types.length === 1 && !allowed.includes(types[0]!) && `tensors of ${types[0]}`,
  ];
};
export const sameFloats = (...tensors: readonly (GraphTensor | null)[]): Faults =>
  sameType(floats, ...tensors);

/** @param what what the tensor is for the op */
export const hasShape = (
  tensor: GraphTensor | null,
  shape: readonly number[],
  what: string,
): string | false =>
  tensor !== null &&
  tensor.bound.join() !== shape.join() &&
  `${what} of ${shapeText(tensor.bound)} in place of ${shapeText(shape)}`;

export const multipleOf = (value: number, factor: number, what: string): string | false =>
  value % factor !== 0 && `${what} of ${value}, which is no multiple of ${factor}`;

/** An axis counted from the start; NaN for one that the rank has not. */
export const axisOf = (axis: number, rank: number): number => {
  const at = axis < 0 ? axis + rank : axis;
  return at >= 0 && at < rank ? at : Number.NaN;
};
export const hasAxis = (axis: number, rank: number): string | false =>
  Number.isNaN(axisOf(axis, rank)) && `axis ${axis} of ${rank}`;

export const isWidthPacked = ({ layout }: GraphTensor): boolean =>
  layout === "TENSOR_WIDTH_PACKED" || layout === "DEFAULT_LAYOUT";
export const widthPacked = (...tensors: readonly GraphTensor[]): string | false =>
  tensors.some((each) => !isWidthPacked(each)) && "tensors that are not packed along their last axis";

/** Sizes as a tensor, as kernels take them. */
export const numbers = (list: readonly number[]): Tensor => tensor("i64", [list.length], list);

export const scalarLike = ({ dtype }: { readonly dtype: DType }, value: number): Tensor =>
  scalarTensor(dtype, value);

/** What a tensor holds. @throws RangeError when that is not of the largest sizes: the result of the op keeps its own */
export function ofFixedSize({ tensor, bound }: GraphTensor): Tensor {
  if (tensor.shape.join() !== bound.join())
    throw new RangeError(`Its results do not change their sizes, and it has ${shapeText(tensor.shape)}.`);
  return tensor;
}
