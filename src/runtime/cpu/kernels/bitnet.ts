import type { Kernel, KernelTable } from "../../../ir/ops/op.ts";
import type { BitnetOps } from "../../../ir/ops/signatures.ts";
import { allocate } from "../../../tensor/tensor.ts";
import { fitted } from "./fit.ts";
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

/** Sums that are scaled later. */
const unscaled: Scales = { data: new Float32Array([1]), columnStep: 0, groupStep: 0 };

const linear: Kernel<BitnetOps["bitnet.linear"]> = ({ x, weight, scale, bias }, { activations, group }) => {
  const matrix = ternaryMatrix(weight, group);
  const { columns, depth } = matrix;
  const isQuantized = activations === "int8-per-token";
  const isGrouped = group !== 0;
  const groups = isGrouped ? Math.ceil(depth / group) : 1;
  const columnStep = scale.data.length === 1 ? 0 : groups;
  const scalesSums = isGrouped || !isQuantized;
  const scales = scalesSums
    ? { data: scale.data as Float32Array, columnStep, groupStep: isGrouped ? 1 : 0 }
    : unscaled;
  const inverses = scalesSums ? unscaled.data : scale.data.map((w) => 1 / w);
  const inverseStep = scalesSums ? 0 : columnStep;
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
      // sum · w / s as HF's BitLinear rounds it: over the f32 product of s and the stored 1/w.
      for (let n = 0; n < columns; n++) {
        const y = sums[from + n]! / Math.fround(rowScale * inverses[n * inverseStep]!);
        out[to + n] = bias === undefined ? y : Math.fround(y) + bias.data[n]!;
      }
    }
  }
  const shape = [...x.shape.slice(0, -1), columns];
  return [fitted(x.dtype, shape, out)];
};

export const bitnetKernels: KernelTable<BitnetOps> = {
  "bitnet.quantize": quantize,
  "bitnet.linear": linear,
  "kv.update": updateCache,
};
