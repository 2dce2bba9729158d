import { type Dim, productOf } from "../tensor/dim.ts";
import type { DType } from "../tensor/dtype.ts";
import { tensor } from "../tensor/tensor.ts";
import type { Builder, Value } from "./graph.ts";
import { sameShape } from "./type.ts";
import { inlineWeight } from "./weights.ts";

// What is written most with a builder, in a word each. A step that would change nothing adds no node.

/** How many axes a value has. */
export const rankOf = (value: Value): number => value.type.shape.length;
/** The sizes of a value's axes. */
export const shapeOf = (value: Value): readonly Dim[] => value.type.shape;
/** The size of axis `axis`; negative ones count from the end. */
export const sizeOf = (value: Value, axis: number): Dim => value.type.shape.at(axis)!;
/** How many elements a value has. */
export const elementCountOf = (value: Value): Dim => productOf(value.type.shape);

/** The value in another dtype. */
export const castTo = (b: Builder, x: Value, to: DType): Value =>
  x.type.dtype === to ? x : b("cast", { x }, { to });

/** A constant held in the graph; `values` are rounded to the dtype. */
export function literal(b: Builder, dtype: DType, values: number | readonly number[]): Value {
  const isScalar = typeof values === "number";
  const list = isScalar ? [values] : values;
  return b.constant(inlineWeight(tensor(dtype, isScalar ? [] : [list.length], list)));
}

/** The elements of x in another shape. */
export const reshapeTo = (b: Builder, x: Value, shape: readonly Dim[]): Value =>
  sameShape(shapeOf(x), shape) ? x : b("reshape", { x, shape: b.dims(shape) });

/** x broadcast to a shape. */
export const expandTo = (b: Builder, x: Value, shape: readonly Dim[]): Value =>
  sameShape(shapeOf(x), shape) ? x : b("expand", { x, shape: b.dims(shape) });

/** x with its axes in another order: axis i of the result is axis perm[i] of x. */
export const transposeTo = (b: Builder, x: Value, perm: readonly number[]): Value =>
  perm.every((axis, i) => axis === i) ? x : b("transpose", { x }, { perm });

/** Swaps the last two axes. */
export function transposeLast(b: Builder, x: Value): Value {
  const perm = shapeOf(x).map((_, axis) => axis);
  return transposeTo(b, x, [...perm.slice(0, -2), perm.length - 1, perm.length - 2]);
}

/** Elements `from` (inclusive) to `to` (exclusive) of one axis. */
export const sliceAxis = (b: Builder, x: Value, axis: number, from: Dim, to: Dim): Value =>
  b("slice", { x, starts: b.dims([from]), ends: b.dims([to]) }, { axes: [axis], steps: [1] });

/** i64 [to - from]: from, from + 1, … */
export const rangeOf = (b: Builder, from: Dim, to: Dim): Value =>
  b("range", { start: b.dims(from), limit: b.dims(to), delta: b.dims(1) });

/** A vector laid along one axis of a tensor of the given rank, every other axis 1. */
export const alongAxis = (b: Builder, vector: Value, axis: number, rank: number): Value =>
  reshapeTo(
    b,
    vector,
    Array.from({ length: rank }, (_, i) => (i === axis ? sizeOf(vector, 0) : 1)),
  );
