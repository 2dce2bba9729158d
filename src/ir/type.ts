import { type Dim, dimKey, sameDim } from "../tensor/dim.ts";
import type { DType } from "../tensor/dtype.ts";

/** What is known of a value before it is computed. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

export const tensorType = (dtype: DType, shape: readonly Dim[]): TensorType => ({ dtype, shape });

export const f32 = (shape: readonly Dim[]) => ({ dtype: "f32", shape }) as const;

/** `f32[1, seq, 256]` */
export const formatType = (type: TensorType): string => `${type.dtype}[${type.shape.map(dimKey).join(", ")}]`;

export const sameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((dim, i) => sameDim(dim, b[i]!));

export const sameType = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype && sameShape(a.shape, b.shape);

export const isStatic = (shape: readonly Dim[]): shape is readonly number[] =>
  shape.every((dim) => typeof dim === "number");
