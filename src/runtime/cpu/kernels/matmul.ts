import type { Kernel } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { allocate, elementCount, type TensorData } from "../../../tensor/tensor.ts";
import { broadcastShapes, broadcastStrides } from "./broadcast.ts";
import { fitted } from "./fit.ts";
import { denseRows, gemm, type LoadRows } from "./gemm.ts";
import { Scratch } from "./scratch.ts";
import { elementOffsets } from "./strides.ts";

/** From this many rows on, gathering columns into panels costs less than it saves. */
const panelRows = 8;

export const matmul: Kernel<NeuralOps["matmul"]> = ({ a, b }) => {
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [rows, depth] = left.slice(-2) as [number, number];
  const [otherDepth, columns] = right.slice(-2) as [number, number];
  if (depth !== otherDepth)
    throw new RangeError(`Matrices with inner sizes ${depth} and ${otherDepth} have no product.`);
  const [leftBatch, rightBatch] = [left.slice(0, -2), right.slice(0, -2)];
  const batch = broadcastShapes(leftBatch, rightBatch);
  const out = allocate(a.dtype, elementCount(batch) * rows * columns);

  if (elementCount(rightBatch) === 1) {
    // one right matrix: the batch is just more rows
    multiplyMatrices(a.data, 0, b.data, 0, out, 0, elementCount(batch) * rows, columns, depth);
  } else {
    const leftAt = elementOffsets(batch, broadcastStrides(leftBatch, batch));
    const rightAt = elementOffsets(batch, broadcastStrides(rightBatch, batch));
    for (let i = 0; i < leftAt.length; i++) {
      const [from, otherFrom] = [leftAt[i]! * rows * depth, rightAt[i]! * depth * columns];
      multiplyMatrices(a.data, from, b.data, otherFrom, out, i * rows * columns, rows, columns, depth);
    }
  }
  const shape = [
    ...batch,
    ...(a.shape.length === 1 ? [] : [rows]),
    ...(b.shape.length === 1 ? [] : [columns]),
  ];
  return [fitted(a.dtype, shape, out)];
};

function multiplyMatrices(
  a: TensorData,
  aFrom: number,
  b: TensorData,
  bFrom: number,
  out: TensorData,
  to: number,
  rows: number,
  columns: number,
  depth: number,
): void {
  if (rows >= panelRows) {
    const [left, right] = [denseRows(a, depth, aFrom), columnsAsRows(b, bFrom, columns, depth)];
    gemm({ rows, columns, depth, left, right, out, offset: to });
    return;
  }
  for (let row = 0; row < rows; row++)
    multiplyRow(a, aFrom + row * depth, b, bFrom, out, to + row * columns, columns, depth);
}

const columnsAsRows =
  (b: TensorData, offset: number, columns: number, depth: number): LoadRows =>
  (panel, from, count) => {
    for (let j = 0; j < count; j++)
      for (let k = 0, at = offset + from + j; k < depth; k++, at += columns) panel[j * depth + k] = b[at]!;
  };

const sums = new Scratch();

/** One row of a times b, as a sum of b's rows: b is read in order. */
function multiplyRow(
  a: TensorData,
  aFrom: number,
  b: TensorData,
  bFrom: number,
  out: TensorData,
  to: number,
  columns: number,
  depth: number,
): void {
  const sum = sums.take(columns).fill(0, 0, columns);
  let k = 0;
  for (; k + 2 <= depth; k += 2) {
    const a0 = a[aFrom + k]!;
    const a1 = a[aFrom + k + 1]!;
    const b0 = bFrom + k * columns;
    const b1 = b0 + columns;
    for (let n = 0; n < columns; n++) sum[n] = sum[n]! + a0 * b[b0 + n]! + a1 * b[b1 + n]!;
  }
  if (k < depth) {
    const value = a[aFrom + k]!;
    const row = bFrom + k * columns;
    for (let n = 0; n < columns; n++) sum[n]! += value * b[row + n]!;
  }
  for (let n = 0; n < columns; n++) out[to + n] = sum[n]!;
}
