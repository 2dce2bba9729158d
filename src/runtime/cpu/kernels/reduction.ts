import type { Kernel, KernelTable } from "../../../ir/ops/op.ts";
import type { ReduceOp, ReductionOps } from "../../../ir/ops/signatures.ts";
import { type DType, integerRange } from "../../../tensor/dtype.ts";
import { allocate, elementCount, type Tensor, type TensorData, tensor } from "../../../tensor/tensor.ts";
import { fitted } from "./fit.ts";
import { contiguousStrides, copyStrided, forEachLine, fromStart, splitAtAxis } from "./strides.ts";

/** Combines the `n` elements data[p], data[p + s], …; `empty` is the result for none of them. */
type Fold = (data: TensorData, p: number, s: number, n: number, empty: number) => number;

const sum: Fold = (data, p, s, n) => {
  let total = 0;
  for (let i = 0; i < n; i++, p += s) total += data[p]!;
  return total;
};
const mean: Fold = (data, p, s, n) => sum(data, p, s, n, 0) / n;
const product: Fold = (data, p, s, n) => {
  let total = 1;
  for (let i = 0; i < n; i++, p += s) total *= data[p]!;
  return total;
};
/** The element that no other is better than; NaN if there is one. */
const best =
  (isBetter: (value: number, best: number) => boolean): Fold =>
  (data, p, s, n, empty) => {
    let found = empty;
    for (let i = 0; i < n; i++, p += s) {
      const value = data[p]!;
      if (isBetter(value, found) || Number.isNaN(value)) found = value;
    }
    return found;
  };
const isLarger = (a: number, b: number): boolean => a > b;
const isSmaller = (a: number, b: number): boolean => a < b;

const rangeOf = (dtype: DType): readonly [number, number] =>
  dtype === "bool" ? [0, 1] : (integerRange(dtype) ?? [-Infinity, Infinity]);
const lowest = (dtype: DType): number => rangeOf(dtype)[0];
const highest = (dtype: DType): number => rangeOf(dtype)[1];

const reduce =
  (fold: Fold, emptyOf: (dtype: DType) => number = () => 0): Kernel<ReductionOps[ReduceOp]> =>
  ({ x }, { axes, keepdims }) => {
    if (axes.length === 0) return [x];
    const { dtype, shape } = x;
    const isReduced = shape.map(() => false);
    for (const axis of axes) isReduced[fromStart(axis, shape.length)] = true;
    const resultShape = keepdims
      ? shape.map((size, i) => (isReduced[i] ? 1 : size))
      : shape.filter((_, i) => !isReduced[i]);
    const out = allocate(dtype, elementCount(resultShape));
    const { data, outer, size, inner } = asOneAxis(x, isReduced);
    const empty = emptyOf(dtype);
    forEachLine({ outer, size, inner }, (first, line) => {
      out[line] = fold(data, first, inner, size, empty);
    });
    return [fitted(dtype, resultShape, out)];
  };

/** The reduced axes as a single one, [outer, size, inner]: as they lie where they are neighbours, else moved to the end. */
function asOneAxis(x: Tensor, isReduced: readonly boolean[]) {
  const { shape, data } = x;
  const product = (from: number, to: number) => elementCount(shape.slice(from, to));
  const first = isReduced.indexOf(true);
  const end = isReduced.lastIndexOf(true) + 1;
  if (isReduced.slice(first, end).every((reduced, i) => reduced || shape[first + i] === 1))
    return { data, outer: product(0, first), size: product(first, end), inner: product(end, shape.length) };
  const axes = shape.map((_, axis) => axis);
  const kept = axes.filter((axis) => !isReduced[axis]);
  const order = [...kept, ...axes.filter((axis) => isReduced[axis])];
  const strides = contiguousStrides(shape);
  const moved = allocate(x.dtype, data.length);
  copyStrided(
    data,
    moved,
    order.map((axis) => shape[axis]!),
    order.map((axis) => strides[axis]!),
  );
  const outer = elementCount(kept.map((axis) => shape[axis]!));
  const size = elementCount(axes.filter((axis) => isReduced[axis]).map((axis) => shape[axis]!));
  return { data: moved, outer, size, inner: 1 };
}

/** Index of the best element along an axis; NaN is better than any number, as in NumPy. */
const bestIndex =
  (isBetter: (value: number, best: number) => boolean): Kernel<ReductionOps["argmax"]> =>
  ({ x }, { axis, keepdims, last }) => {
    const lines = splitAtAxis(x.shape, axis);
    const { outer, size, inner } = lines;
    if (size === 0) throw new RangeError("An axis without elements has no largest or smallest one.");
    const at = fromStart(axis, x.shape.length);
    const shape = keepdims ? x.shape.with(at, 1) : x.shape.toSpliced(at, 1);
    const out = allocate("i64", outer * inner);
    forEachLine(lines, (first, line) => {
      let bestAt = 0;
      let best = x.data[first]!;
      for (let k = 1, p = first + inner; k < size; k++, p += inner) {
        const value = x.data[p]!;
        const isNewBest = Number.isNaN(best)
          ? last && Number.isNaN(value)
          : Number.isNaN(value) || isBetter(value, best) || (last && value === best);
        if (isNewBest) {
          best = value;
          bestAt = k;
        }
      }
      out[line] = bestAt;
    });
    return [tensor("i64", shape, out)];
  };

function cumulativeSum(x: Tensor, axis: number, exclusive: boolean, reverse: boolean): Tensor {
  const lines = splitAtAxis(x.shape, axis);
  const { size, inner } = lines;
  const out = allocate(x.dtype, x.data.length);
  const step = reverse ? -inner : inner;
  forEachLine(lines, (first) => {
    let p = first + (reverse ? (size - 1) * inner : 0);
    let total = 0;
    for (let k = 0; k < size; k++, p += step) {
      const before = total;
      total += x.data[p]!;
      out[p] = exclusive ? before : total;
    }
  });
  return fitted(x.dtype, x.shape, out);
}

/** The k best along an axis, best first; NaN counts as the largest, equal values keep their order. */
const topk: Kernel<ReductionOps["topk"]> = ({ x, k: count }, { axis, largest: wantsLargest }) => {
  const lines = splitAtAxis(x.shape, axis);
  const { outer, size, inner } = lines;
  const k = count.data[0]!;
  if (k > size) throw new RangeError(`The top ${k} of ${size} elements were asked for.`);
  const shape = x.shape.with(fromStart(axis, x.shape.length), k);
  const values = allocate(x.dtype, outer * k * inner);
  const indices = allocate("i64", values.length);
  const order = new Int32Array(size);
  const row = new Float64Array(size);
  const sign = wantsLargest ? -1 : 1;
  const byRank = (p: number, q: number): number => {
    const a = row[p]!;
    const b = row[q]!;
    const isUnordered = Number.isNaN(a) || Number.isNaN(b);
    const ascending = isUnordered
      ? Number(Number.isNaN(a)) - Number(Number.isNaN(b))
      : Number(a > b) - Number(a < b);
    return sign * ascending || p - q;
  };
  forEachLine(lines, (first, line) => {
    for (let m = 0; m < size; m++) {
      row[m] = x.data[first + m * inner]!;
      order[m] = m;
    }
    order.sort(byRank);
    const firstBest = Math.floor(line / inner) * k * inner + (line % inner);
    for (let m = 0, to = firstBest; m < k; m++, to += inner) {
      values[to] = row[order[m]!]!;
      indices[to] = order[m]!;
    }
  });
  return [tensor(x.dtype, shape, values), tensor("i64", shape, indices)];
};

export const reductionKernels: KernelTable<ReductionOps> = {
  reduce_sum: reduce(sum),
  reduce_mean: reduce(mean),
  reduce_max: reduce(best(isLarger), lowest),
  reduce_min: reduce(best(isSmaller), highest),
  reduce_prod: reduce(product),
  argmax: bestIndex(isLarger),
  argmin: bestIndex(isSmaller),
  cumsum: ({ x }, { axis, exclusive, reverse }) => [cumulativeSum(x, axis, exclusive, reverse)],
  topk,
};
