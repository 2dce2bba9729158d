import { indexingKernels as kernels } from "../../runtime/cpu/kernels/indexing.ts";
import { areDifferent, type Dim, isAtLeast, maxOf, productOf, symbol } from "../../tensor/dim.ts";
import { isInteger } from "../../tensor/dtype.ts";
import { tensorType } from "../type.ts";
import { moveContents, numbers } from "./contents.ts";
import { type ArgInfo, InferenceError, type OpTable } from "./op.ts";
import { formatShape, normalizeAxis, requireSameDType } from "./shapes.ts";
import type { IndexingOps } from "./signatures.ts";

function requireIndices({ type }: ArgInfo): void {
  if (!isInteger(type.dtype)) throw new InferenceError("indices must be integers");
}

/** @throws InferenceError unless `indices` lies within x everywhere but along the axis */
function requireWithin(x: ArgInfo, indices: ArgInfo, axis: number): void {
  requireIndices(indices);
  const rank = x.type.shape.length;
  if (indices.type.shape.length !== rank) throw new InferenceError("x and indices must be of one rank");
  const at = normalizeAxis(axis, rank);
  const wrong = x.type.shape.findIndex(
    (size, i) =>
      i !== at && isAtLeast(indices.type.shape[i]!, size) && areDifferent(size, indices.type.shape[i]!),
  );
  if (wrong >= 0) throw new InferenceError(`indices have more elements than x along axis ${wrong}`);
}

/** How many axes of x an index tuple names, after the first `batchDims` axes. */
function tupleSize(x: ArgInfo, indices: ArgInfo, batchDims: number): number {
  requireIndices(indices);
  const depth = indices.type.shape.at(-1);
  if (depth === undefined || batchDims < 0 || indices.type.shape.length <= batchDims)
    throw new InferenceError(`indices must have more than ${batchDims} axes`);
  if (typeof depth !== "number") throw new InferenceError("the last axis of indices must have a known size");
  if (batchDims + depth > x.type.shape.length)
    throw new InferenceError(`indices name ${batchDims + depth} axes of x, which has ${x.type.shape.length}`);
  return depth;
}

function requireUpdates(x: ArgInfo, updates: ArgInfo, shape: readonly Dim[], reduction: string): void {
  requireSameDType({ x, updates });
  const given = updates.type.shape;
  if (given.length !== shape.length || given.some((size, i) => areDifferent(size, shape[i]!)))
    throw new InferenceError(`updates have shape ${formatShape(given)}, which must be ${formatShape(shape)}`);
  if (x.type.dtype === "bool" && (reduction === "add" || reduction === "mul"))
    throw new InferenceError(`bool elements have no reduction ${reduction}`);
}

export const indexingOps: OpTable<IndexingOps> = {
  gather: {
    doc:
      "Whole slices of x along `axis`: in the result's shape that axis is replaced by the shape of the indices, which " +
      "may be negative.",
    args: ["x", "indices"],
    infer({ x, indices }, { axis }) {
      requireIndices(indices);
      const { shape } = x.type;
      return [
        tensorType(
          x.type.dtype,
          shape.toSpliced(normalizeAxis(axis, shape.length), 1, ...indices.type.shape),
        ),
      ];
    },
    contents({ x, indices }, attrs) {
      const chosen = numbers(indices);
      return (
        chosen && moveContents([x], ([all]) => kernels.gather({ x: all!, indices: chosen }, attrs)[0]!.data)
      );
    },
    kernel: kernels.gather,
  },
  gather_elements: {
    doc:
      "For each element of the indices, the element of x at the same place but for `axis`, where the index says; the " +
      "result has the shape of the indices.",
    args: ["x", "indices"],
    infer({ x, indices }, { axis }) {
      requireWithin(x, indices, axis);
      return [tensorType(x.type.dtype, indices.type.shape)];
    },
    contents({ x, indices }, attrs) {
      const chosen = numbers(indices);
      if (!chosen) return undefined;
      return moveContents(
        [x],
        ([all]) => kernels.gather_elements({ x: all!, indices: chosen }, attrs)[0]!.data,
      );
    },
    kernel: kernels.gather_elements,
  },
  gather_nd: {
    doc:
      "The blocks of x that the index tuples along the last axis of the indices name, after `batch_dims` axes that " +
      "both share: [batch…, n…, m] with x [batch…, a₁…aₘ, block…] gives [batch…, n…, block…].",
    args: ["x", "indices"],
    infer({ x, indices }, { batch_dims }) {
      const depth = tupleSize(x, indices, batch_dims);
      const block = x.type.shape.slice(batch_dims + depth);
      return [tensorType(x.type.dtype, [...indices.type.shape.slice(0, -1), ...block])];
    },
    contents({ x, indices }, attrs) {
      const chosen = numbers(indices);
      return (
        chosen &&
        moveContents([x], ([all]) => kernels.gather_nd({ x: all!, indices: chosen }, attrs)[0]!.data)
      );
    },
    kernel: kernels.gather_nd,
  },
  scatter_elements: {
    doc:
      "x with each update put at its own place but for `axis`, where the index says; `reduction` combines it with " +
      "what is there, in order. Indices and updates have one shape, the result that of x.",
    args: ["x", "indices", "updates"],
    infer({ x, indices, updates }, { axis, reduction }) {
      requireWithin(x, indices, axis);
      requireUpdates(x, updates, indices.type.shape, reduction);
      return [x.type];
    },
    contents({ x, indices, updates }, attrs) {
      const chosen = numbers(indices);
      if (!chosen || attrs.reduction !== "none") return undefined;
      return moveContents(
        [x, updates],
        ([all, news]) =>
          kernels.scatter_elements({ x: all!, indices: chosen, updates: news! }, attrs)[0]!.data,
      );
    },
    kernel: kernels.scatter_elements,
  },
  scatter_nd: {
    doc:
      "x with the blocks that the index tuples along the last axis of the indices name, [n…, m], replaced by updates " +
      "[n…, block…], or combined with them as `reduction` says, in order. The result has the shape of x.",
    args: ["x", "indices", "updates"],
    infer({ x, indices, updates }, { reduction }) {
      const depth = tupleSize(x, indices, 0);
      const shape = [...indices.type.shape.slice(0, -1), ...x.type.shape.slice(depth)];
      requireUpdates(x, updates, shape, reduction);
      return [x.type];
    },
    contents({ x, indices, updates }, attrs) {
      const chosen = numbers(indices);
      if (!chosen || attrs.reduction !== "none") return undefined;
      return moveContents(
        [x, updates],
        ([all, news]) => kernels.scatter_nd({ x: all!, indices: chosen, updates: news! }, attrs)[0]!.data,
      );
    },
    kernel: kernels.scatter_nd,
  },
  nonzero: {
    doc: "Indices (i64) of the elements of x that are not zero, in row-major order: [rank, size], one row an axis.",
    args: ["x"],
    infer({ x }, { size }) {
      const most = maxOf(productOf(x.type.shape));
      return [tensorType("i64", [x.type.shape.length, symbol(size, most)])];
    },
    kernel: kernels.nonzero,
  },
};
