import { elementCount, type Tensor, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { broadcastShapes, broadcastStrides } from "../../kernels/broadcast.ts";
import { indexingKernels } from "../../kernels/indexing.ts";
import { contiguousStrides, elementOffsets } from "../../kernels/strides.ts";
import { mutating, type Operators, out } from "../operator.ts";
import { bool, cell, int, optionalTensors, tensor } from "../values.ts";
import { axisOf, requireIndices, requireRank, requireSameType } from "./checks.ts";

/** Rows of x. @throws RangeError for a negative index, which counts from the end in Python only */
function take(x: Tensor, indices: Tensor, axis: number): Tensor {
  requireIndices(indices);
  const negative = indices.data.find((index) => index < 0);
  if (negative !== undefined) throw new RangeError(`Index ${negative} is outside an axis.`);
  return indexingKernels.gather({ x, indices }, { axis })[0]!;
}

/**
 * The elements that NumPy's indexing by tensors names. Their axes take the place of the axes that are indexed where
 * these are neighbours, else they come first.
 */
function indexed(shape: readonly number[], indices: readonly (Tensor | null)[]) {
  if (indices.length > shape.length) throw new RangeError(`It has ${indices.length} indices.`);
  const axes = shape.map((_, axis) => axis);
  const given = axes.filter((axis) => indices[axis] != null);
  const [first] = given;
  if (first === undefined) throw new RangeError("It has no indices.");
  const areNeighbours = given.every((axis, i) => axis === first + i);
  const outside = axes.filter((axis) => indices[axis] == null && areNeighbours && axis < first);
  const inside = axes.filter((axis) => indices[axis] == null && !outside.includes(axis));
  const strides = contiguousStrides(shape);
  const sizesOf = (list: readonly number[]) => list.map((axis) => shape[axis]!);
  const offsetsOf = (list: readonly number[]) =>
    elementOffsets(
      sizesOf(list),
      list.map((axis) => strides[axis]!),
    );
  const chosen = broadcastShapes(...given.map((axis) => indices[axis]!.shape));
  const positions = new Int32Array(elementCount(chosen));
  for (const axis of given) {
    const index = indices[axis]!;
    requireIndices(index);
    const size = shape[axis]!;
    const places = elementOffsets(chosen, broadcastStrides(index.shape, chosen));
    for (let i = 0; i < positions.length; i++) {
      const at = index.data[places[i]!]!;
      if (!(at >= -size && at < size))
        throw new RangeError(`Index ${at} is outside an axis of ${size} elements.`);
      positions[i]! += (at < 0 ? at + size : at) * strides[axis]!;
    }
  }
  const [before, after] = [offsetsOf(outside), offsetsOf(inside)];
  const offsets = new Int32Array(before.length * positions.length * after.length);
  let n = 0;
  for (const outer of before)
    for (const position of positions) for (const inner of after) offsets[n++] = outer + position + inner;
  return { shape: [...sizesOf(outside), ...chosen, ...sizesOf(inside)], offsets };
}

function pick(x: Tensor, indices: readonly (Tensor | null)[]): Tensor {
  const { shape, offsets } = indexed(x.shape, indices);
  const made = tensorOf(x.dtype, shape);
  for (let i = 0; i < offsets.length; i++) made.data[i] = x.data[offsets[i]!]!;
  return made;
}

/** Puts values, broadcast, where the indices say, or adds them there: x itself is changed. */
function put(x: Tensor, indices: readonly (Tensor | null)[], values: Tensor, accumulate: boolean): Tensor {
  requireSameType(x, values);
  const { shape, offsets } = indexed(x.shape, indices);
  if (broadcastShapes(values.shape, shape).some((size, axis) => size !== shape[axis]))
    throw new RangeError(`[${values.shape.join(", ")}] does not broadcast to [${shape.join(", ")}].`);
  const places = elementOffsets(shape, broadcastStrides(values.shape, shape));
  const { data } = x;
  for (let i = 0; i < offsets.length; i++) {
    const value = values.data[places[i]!]!;
    data[offsets[i]!] = accumulate ? data[offsets[i]!]! + value : value;
  }
  return x;
}

export const indexingOperators: Operators = {
  "aten::embedding.out": out([tensor, tensor, int, bool, bool], (table, ids) => {
    requireRank(table, 2);
    return take(table, ids, 0);
  }),
  "aten::index_select.out": out([tensor, int, tensor], (x, axis, indices) => {
    requireRank(indices, 1);
    return take(x, indices, axisOf(axis, x.shape.length));
  }),
  "aten::index.Tensor_out": out([tensor, optionalTensors], pick),
  "aten::index_put.out": out([tensor, optionalTensors, tensor, bool], (x, ...more) => {
    const [indices, values, accumulate] = more;
    return put({ ...x, data: x.data.slice() }, indices, values, accumulate);
  }),
  "aten::index_put_": mutating(
    [cell, optionalTensors, tensor, bool],
    [0],
    (x, indices, values, accumulate) => {
      x.write(put(x.tensor, indices, values, accumulate));
    },
  ),
};
