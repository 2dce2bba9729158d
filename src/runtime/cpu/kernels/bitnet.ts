import type { Kernel, KernelTable } from "../../../ir/ops/op.ts";
import type { BitnetOps } from "../../../ir/ops/signatures.ts";
import { allocate } from "../../../tensor/tensor.ts";
import { fitToDType } from "./fit.ts";
import { updateCache } from "./kv-cache.ts";
import { rowsOf } from "./linear.ts";
import { quantizeRow } from "./quantize.ts";
import { Scratch } from "./scratch.ts";
import { ternaryMatrix } from "./ternary-matrix.ts";
import { addTernaryProducts, type Scales, tileRows } from "./ternary-product.ts";

const valueScratch = new Scratch();
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
  const matrix = ternaryMatrix(weight, group);
  const { columns, depth } = matrix;
  const groups = group === 0 ? 1 : Math.ceil(depth / group);
  const scales: Scales = {
    data: scale.data as Float32Array,
    columnStep: scale.data.length === 1 ? 0 : groups,
    groupStep: group === 0 ? 0 : 1,
  };
  const isQuantized = activations === "int8-per-token";
  const step = isQuantized ? tileRows : 1;
  const rows = rowsOf(x);
  const values = valueScratch.take(step * depth);
  const sums = sumScratch.take(step * columns);
  const rowScales = new Array<number>(step).fill(1);
  const out = allocate(x.dtype, rows * columns);

  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    for (let i = 0; i < count; i++) {
      const from = (first + i) * depth;
      if (isQuantized) rowScales[i] = quantizeRow(x.data, from, depth, values, i * depth);
      else values.set(x.data.subarray(from, from + depth));
    }
    sums.fill(0, 0, step * columns);
    addTernaryProducts(values, count, matrix, scales, sums);
    for (let i = 0; i < count; i++) {
      const rowScale = rowScales[i]!;
      const from = i * columns;
      const to = (first + i) * columns;
      if (bias === undefined) for (let n = 0; n < columns; n++) out[to + n] = sums[from + n]! / rowScale;
      else
        for (let n = 0; n < columns; n++)
          out[to + n] = Math.fround(sums[from + n]! / rowScale) + bias.data[n]!;
    }
  }
  const shape = [...x.shape.slice(0, -1), columns];
  return [{ dtype: x.dtype, shape, data: fitToDType(x.dtype, out) }];
};

export const bitnetKernels: KernelTable<BitnetOps> = {
  "bitnet.quantize": quantize,
  "bitnet.linear": linear,
  "kv.update": updateCache,
};
