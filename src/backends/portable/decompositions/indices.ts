import type { Node, Value } from "../../../ir/graph.ts";
import { addDims, type Dim, dimKey, maxOf, minOf } from "../../../tensor/dim.ts";
import type { Emitter } from "../emitter.ts";
import { sizesTensor } from "../sizes-tensor.ts";
import type { PortableTensor } from "../value.ts";

export const axisOf = (node: Node, { shape }: PortableTensor): number =>
  ((node.attrs.axis as number) + shape.length) % shape.length;

/**
 * Indices of an axis of `size` elements as i64, counted from its start, where they are known well enough. Sizes among
 * them may be.
 */
export function knownIndices(e: Emitter, indices: Value, size: Dim): PortableTensor | undefined {
  const { contents, type } = indices;
  if (!contents?.every((index) => maxOf(index) < 0 || minOf(index) >= 0)) return undefined;
  const known = contents.map((index) => (maxOf(index) < 0 ? addDims(size, index) : index));
  return sizesTensor(e, known, type.shape);
}

/** Indices as they are: kernels take no other integers, or take them for masks. */
export const signedIndices = (e: Emitter, indices: Value): PortableTensor => e.cast(e.tensor(indices), "i64");

/** Indices of an axis of `size` elements as i64, of which negative ones are counted from its end. */
export function indicesFromStart(e: Emitter, indices: Value, size: Dim): PortableTensor {
  const known = knownIndices(e, indices, size);
  if (known !== undefined) return known;
  const index = signedIndices(e, indices);
  return e.once(`from start ${index.id} ${dimKey(size)}`, () => {
    const negative = { dtype: "bool", shape: index.shape } as const;
    const condition = e.op("aten::lt.Scalar_out", { self: index, other: 0 }, negative);
    const moved = e.op("aten::add.Scalar_out", { self: index, other: e.size(size), alpha: 1 }, index);
    return e.op("aten::where.self_out", { condition, self: moved, other: index }, index);
  });
}

/** What index tuples [n…, m] name, an index of each axis as a tensor of `shape`, which has as many elements as n…. */
export function tupleParts(e: Emitter, indices: Value, shape: readonly Dim[]): readonly PortableTensor[] {
  const all = signedIndices(e, indices);
  const axis = all.shape.length - 1;
  const depth = all.shape[axis] as number;
  return Array.from({ length: depth }, (_, k) =>
    e.view(depth === 1 ? all : e.slice(all, axis, k, k + 1, 1), shape),
  );
}

export const refuseEmptyTuples = (node: Node): string | undefined =>
  node.arg("indices").type.shape.at(-1) === 0 ? "its index tuples are empty" : undefined;
