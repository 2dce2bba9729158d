import type { Kernel, KernelTable } from "../../../ir/ops/op.ts";
import type { BitnetOps } from "../../../ir/ops/signatures.ts";
import { allocate, type Tensor, type TensorData } from "../../../tensor/tensor.ts";
import { fitToDType } from "./fit.ts";
import { denseRows, gemm, type LoadRows } from "./gemm.ts";
import { updateCache } from "./kv-cache.ts";
import { panelRows, rowsOf } from "./linear.ts";
import { quantizeRow } from "./quantize.ts";
import { Scratch } from "./scratch.ts";
import { addTernaryProducts, type TernaryMatrix, tileRows } from "./ternary-gemm.ts";

const codeScratch = new Scratch();
const sumScratch = new Scratch();

const quantize: Kernel<BitnetOps["bitnet.quantize"]> = ({ x }) => {
  const width = x.shape[x.shape.length - 1]!;
  const rows = rowsOf(x);
  const codes = new Float32Array(x.data.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++)
    scales[row] = quantizeRow(x.data, row * width, width, codes, row * width);
  return [
    { dtype: "f32", shape: x.shape, data: codes },
    { dtype: "f32", shape: [...x.shape.slice(0, -1), 1], data: scales },
  ];
};

const linear: Kernel<BitnetOps["bitnet.linear"]> = ({ x, weight, scale, bias }, { activations, group }) => {
  const matrix = ternaryMatrix(weight, scale, group);
  const rows = rowsOf(x);
  const out = allocate(x.dtype, rows * matrix.columns);
  if (activations === "int8-per-token") multiplyQuantized(x.data, rows, matrix, bias?.data, out);
  else multiplyFloats(x.data, rows, matrix, bias?.data, out);
  const shape = [...x.shape.slice(0, -1), matrix.columns];
  return [{ dtype: x.dtype, shape, data: fitToDType(x.dtype, out) }];
};

function ternaryMatrix(weight: Tensor, scale: Tensor, group: number): TernaryMatrix {
  const [columns, depth] = weight.shape as [number, number];
  if (!(weight.data instanceof Int8Array))
    throw new Error(`bitnet.linear takes weights of ${weight.dtype} once they are unpacked to i8`);
  const groups = group === 0 ? 1 : Math.ceil(depth / group);
  return {
    codes: weight.data,
    columns,
    depth,
    scales: scale.data as Float32Array,
    columnStep: scale.data.length === 1 ? 0 : groups,
    groupStep: group === 0 ? 0 : 1,
    group: group === 0 ? Math.max(1, depth) : group,
  };
}

/** y = Σ q·t · scale / s + bias, where s is the scale of the row's codes. */
function multiplyQuantized(
  x: TensorData,
  rows: number,
  matrix: TernaryMatrix,
  bias: TensorData | undefined,
  out: TensorData,
): void {
  const { columns, depth } = matrix;
  const codes = codeScratch.take(tileRows * depth);
  const sums = sumScratch.take(tileRows * columns);
  const rowScales = new Array<number>(tileRows);
  for (let first = 0; first < rows; first += tileRows) {
    const count = Math.min(tileRows, rows - first);
    for (let i = 0; i < count; i++)
      rowScales[i] = quantizeRow(x, (first + i) * depth, depth, codes, i * depth);
    sums.fill(0, 0, count === 1 ? columns : tileRows * columns);
    addTernaryProducts(codes, count, matrix, sums);
    for (let i = 0; i < count; i++) {
      const scale = rowScales[i]!;
      const from = i * columns;
      const to = (first + i) * columns;
      if (bias === undefined) for (let n = 0; n < columns; n++) out[to + n] = sums[from + n]! / scale;
      else for (let n = 0; n < columns; n++) out[to + n] = Math.fround(sums[from + n]! / scale) + bias[n]!;
    }
  }
}

/** y = Σ x·t · scale + bias. */
function multiplyFloats(
  x: TensorData,
  rows: number,
  matrix: TernaryMatrix,
  bias: TensorData | undefined,
  out: TensorData,
): void {
  const { columns, depth } = matrix;
  if (rows >= panelRows) {
    const [left, right] = [denseRows(x, depth), scaledRows(matrix)];
    gemm({ rows, columns, depth, left, right, bias, out, offset: 0 });
    return;
  }
  const values = codeScratch.take(depth);
  const sums = sumScratch.take(columns);
  for (let row = 0; row < rows; row++) {
    values.set(x.subarray(row * depth, (row + 1) * depth));
    sums.fill(0, 0, columns);
    addTernaryProducts(values, 1, matrix, sums);
    for (let n = 0; n < columns; n++) out[row * columns + n] = sums[n]! + (bias === undefined ? 0 : bias[n]!);
  }
}

/** Rows of weights, which are exact in f64. */
const scaledRows =
  ({ codes, depth, scales, columnStep, groupStep, group }: TernaryMatrix): LoadRows =>
  (panel, from, count) => {
    for (let j = 0; j < count; j++) {
      const row = (from + j) * depth;
      for (let start = 0, g = 0; start < depth; start += group, g++) {
        const scale = scales[(from + j) * columnStep + g * groupStep]!;
        const end = Math.min(depth, start + group);
        for (let k = start; k < end; k++) panel[j * depth + k] = codes[row + k]! * scale;
      }
    }
  };

export const bitnetKernels: KernelTable<BitnetOps> = {
  "bitnet.quantize": quantize,
  "bitnet.linear": linear,
  "kv.update": updateCache,
};
