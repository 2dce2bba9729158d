import type { KernelTable } from "../../../ir/ops/op.ts";
import type { IndexingOps } from "../../../ir/ops/signatures.ts";
import { allocate, elementCount, type Tensor, type TensorData, tensor } from "../../../tensor/tensor.ts";
import { fitted } from "./fit.ts";
import { contiguousStrides, copyRun, elementOffsets, fromStart, splitAtAxis } from "./strides.ts";

/** An index counted from the start. @throws RangeError when it is outside the axis */
function positionOf(index: number, size: number): number {
  const position = index < 0 ? index + size : index;
  if (!(position >= 0 && position < size))
    throw new RangeError(`Index ${index} is outside an axis of ${size} elements.`);
  return position;
}

function gather(x: Tensor, indices: Tensor, axis: number): Tensor {
  const at = fromStart(axis, x.shape.length);
  const { outer, size, inner } = splitAtAxis(x.shape, at);
  const count = indices.data.length;
  const out = allocate(x.dtype, outer * count * inner);
  for (let i = 0, to = 0; i < outer; i++)
    for (let j = 0; j < count; j++, to += inner)
      copyRun(x.data, (i * size + positionOf(indices.data[j]!, size)) * inner, out, to, inner);
  return tensor(x.dtype, x.shape.toSpliced(at, 1, ...indices.shape), out);
}

/** For each element of `indices`, the offset in a tensor of `shape` of the element at its place, moved along the axis. */
function elementPositions(shape: readonly number[], indices: Tensor, axis: number): Int32Array {
  const at = fromStart(axis, shape.length);
  const strides = contiguousStrides(shape);
  const along = strides[at]!;
  const positions = elementOffsets(indices.shape, strides.with(at, 0));
  for (let i = 0; i < positions.length; i++)
    positions[i]! += positionOf(indices.data[i]!, shape[at]!) * along;
  return positions;
}

function gatherElements(x: Tensor, indices: Tensor, axis: number): Tensor {
  const positions = elementPositions(x.shape, indices, axis);
  const out = allocate(x.dtype, positions.length);
  for (let i = 0; i < out.length; i++) out[i] = x.data[positions[i]!]!;
  return tensor(x.dtype, indices.shape, out);
}

/** Offsets of the blocks that index tuples name in the axes `from` and on; `blocks` of them for each batch. */
function blockPositions(shape: readonly number[], indices: Tensor, from: number): Int32Array {
  const depth = indices.shape[indices.shape.length - 1]!;
  const strides = contiguousStrides(shape);
  const batches = elementCount(shape.slice(0, from));
  const batchSize = elementCount(shape.slice(from));
  const blocks = elementCount(indices.shape.slice(from, -1));
  const positions = new Int32Array(batches * blocks);
  for (let i = 0; i < positions.length; i++) {
    let offset = Math.floor(i / blocks) * batchSize;
    for (let k = 0; k < depth; k++)
      offset += positionOf(indices.data[i * depth + k]!, shape[from + k]!) * strides[from + k]!;
    positions[i] = offset;
  }
  return positions;
}

function gatherND(x: Tensor, indices: Tensor, batchDims: number): Tensor {
  const depth = indices.shape[indices.shape.length - 1]!;
  const positions = blockPositions(x.shape, indices, batchDims);
  const block = x.shape.slice(batchDims + depth);
  const size = elementCount(block);
  const out = allocate(x.dtype, positions.length * size);
  for (let i = 0; i < positions.length; i++) copyRun(x.data, positions[i]!, out, i * size, size);
  return tensor(x.dtype, [...indices.shape.slice(0, -1), ...block], out);
}

type Reduction = IndexingOps["scatter_nd"]["attrs"]["reduction"];

const combine: { readonly [R in Reduction]: (old: number, update: number) => number } = {
  none: (_, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  min: Math.min,
  max: Math.max,
};

/** Combines runs of `size` updates, in order, into a copy of x. */
function scatter(
  x: Tensor,
  positions: Int32Array,
  size: number,
  updates: TensorData,
  reduction: Reduction,
): Tensor {
  const out = x.data.slice();
  const apply = combine[reduction];
  for (let i = 0; i < positions.length; i++) {
    const to = positions[i]!;
    for (let j = 0; j < size; j++) out[to + j] = apply(out[to + j]!, updates[i * size + j]!);
  }
  return fitted(x.dtype, x.shape, out);
}

function nonzero(x: Tensor): Tensor {
  const rank = x.shape.length;
  const found: number[] = [];
  for (let i = 0; i < x.data.length; i++) if (x.data[i] !== 0) found.push(i);
  const out = allocate("i64", rank * found.length);
  contiguousStrides(x.shape).forEach((stride, axis) => {
    const size = x.shape[axis]!;
    for (let i = 0; i < found.length; i++)
      out[axis * found.length + i] = Math.floor(found[i]! / stride) % size;
  });
  return tensor("i64", [rank, found.length], out);
}

export const indexingKernels: KernelTable<IndexingOps> = {
  gather: ({ x, indices }, { axis }) => [gather(x, indices, axis)],
  gather_elements: ({ x, indices }, { axis }) => [gatherElements(x, indices, axis)],
  gather_nd: ({ x, indices }, { batch_dims }) => [gatherND(x, indices, batch_dims)],
  scatter_elements: ({ x, indices, updates }, { axis, reduction }) => [
    scatter(x, elementPositions(x.shape, indices, axis), 1, updates.data, reduction),
  ],
  scatter_nd: ({ x, indices, updates }, { reduction }) => {
    const depth = indices.shape[indices.shape.length - 1]!;
    const size = elementCount(x.shape.slice(depth));
    return [scatter(x, blockPositions(x.shape, indices, 0), size, updates.data, reduction)];
  },
  nonzero: ({ x }) => [nonzero(x)],
};
