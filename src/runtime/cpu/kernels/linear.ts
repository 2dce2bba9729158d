import type { Kernel } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { allocate, type Tensor, type TensorData } from "../../../tensor/tensor.ts";
import { fitted } from "./fit.ts";
import { denseRows, gemm } from "./gemm.ts";
import { multiplyWords, wordsOf } from "./row-codes.ts";

/** From this many rows on, copying the weights into panels costs less than it saves. */
const panelRows = 4;

export const linear: Kernel<NeuralOps["nn.linear"]> = ({ x, weight, bias, scale }) => {
  const [columns, depth] = weight.shape as [number, number];
  const rows = rowsOf(x);
  const out = allocate(x.dtype, rows * columns);
  if (scale !== undefined) {
    const words = rows < panelRows ? wordsOf(weight.data, depth) : undefined;
    if (words) multiplyWords(x.data, rows, words, out, columns, depth);
    else {
      const [left, right] = [denseRows(x.data, depth), denseRows(weight.data, depth)];
      gemm({ rows, columns, depth, left, right, out, offset: 0 });
    }
    scaleColumns(out, columns, scale.data, bias?.data);
  } else if (rows < panelRows && x.data instanceof Float32Array && weight.data instanceof Float32Array) {
    for (let row = 0; row < rows; row++)
      multiplyRow(x.data, row * depth, weight.data, bias?.data, out, row * columns, columns, depth);
  } else {
    const [left, right] = [denseRows(x.data, depth), denseRows(weight.data, depth)];
    gemm({ rows, columns, depth, left, right, bias: bias?.data, out, offset: 0 });
  }
  const shape = [...x.shape.slice(0, -1), columns];
  return [fitted(x.dtype, shape, out)];
};

/** Scales each column of sums that are already rounded to the result's storage, and adds its bias. */
function scaleColumns(
  out: TensorData,
  columns: number,
  scale: TensorData,
  bias: TensorData | undefined,
): void {
  for (let at = 0; at < out.length; at += columns)
    for (let n = 0; n < columns; n++)
      out[at + n] = bias === undefined ? out[at + n]! * scale[n]! : out[at + n]! * scale[n]! + bias[n]!;
}

/** Rows of a tensor seen as a matrix over its last axis. */
export const rowsOf = (x: Tensor): number => x.shape.slice(0, -1).reduce((n, size) => n * size, 1);

/** One row of x times every row of the weight, four at a time so that x is loaded once for them. */
function multiplyRow(
  x: Float32Array,
  from: number,
  weight: Float32Array,
  bias: TensorData | undefined,
  out: TensorData,
  to: number,
  columns: number,
  depth: number,
): void {
  const last = columns - 1;
  for (let n = 0; n < columns; n += 4) {
    const n1 = Math.min(n + 1, last);
    const n2 = Math.min(n + 2, last);
    const n3 = Math.min(n + 3, last);
    const w0 = n * depth;
    const w1 = n1 * depth;
    const w2 = n2 * depth;
    const w3 = n3 * depth;
    let sum0 = bias === undefined ? 0 : bias[n]!;
    let sum1 = bias === undefined ? 0 : bias[n1]!;
    let sum2 = bias === undefined ? 0 : bias[n2]!;
    let sum3 = bias === undefined ? 0 : bias[n3]!;
    for (let k = 0; k < depth; k++) {
      const value = x[from + k]!;
      sum0 += value * weight[w0 + k]!;
      sum1 += value * weight[w1 + k]!;
      sum2 += value * weight[w2 + k]!;
      sum3 += value * weight[w3 + k]!;
    }
    // where fewer than four are left, the last one is computed again and stored again
    out[to + n] = sum0;
    out[to + n1] = sum1;
    out[to + n2] = sum2;
    out[to + n3] = sum3;
  }
}

export const embedding: Kernel<NeuralOps["nn.embedding"]> = ({ table, ids, scale }) => {
  const [entries, width] = table.shape as [number, number];
  const dtype = table.dtype === "f64" ? "f64" : "f32";
  const out = allocate(dtype, ids.data.length * width);
  for (let i = 0; i < ids.data.length; i++) {
    const id = ids.data[i]!;
    if (!(id >= 0 && id < entries))
      throw new RangeError(`Id ${id} is outside the vocabulary, whose ids are 0 to ${entries - 1}.`);
    out.set(table.data.subarray(id * width, (id + 1) * width), i * width);
    if (scale === undefined) continue;
    const factor = scale.data[id]!;
    for (let at = i * width; at < (i + 1) * width; at++) out[at]! *= factor;
  }
  return [{ dtype, shape: [...ids.shape, width], data: out }];
};
