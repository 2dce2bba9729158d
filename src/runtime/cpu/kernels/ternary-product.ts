import { roundingMagic } from "./quantize.ts";
import { Scratch } from "./scratch.ts";
import { chunkWeights, type TernaryMatrix } from "./ternary-matrix.ts";

/*
 * Four weights have only 81 possible sums with four activations. A table of them is made for each four activations,
 * and a column of weights then costs a read and an addition for each four weights (the idea of T-MAC, Wei et al. 2024,
 * arXiv:2407.00088).
 *
 * Three rows of activation codes travel in one double, x0 + x1·2^18 + x2·2^36, so that one table and one addition
 * serve all three. That is exact. Codes q are integers with |q| <= 128 and t is -1, 0 or 1, so over a block of 256
 * columns every partial sum of q·t is an integer of at most 2^15. Then
 * - a packed partial sum is an integer of at most 2^15 · (2^36 + 2^18 + 1) < 2^53: a double holds it exactly, in
 *   whatever order the terms are added;
 * - its two lower lanes together are at most 2^15 · (2^18 + 1) < 2^35, less than half of the upper lane's unit, so
 *   rounding to a multiple of that unit gives the upper lane; likewise 2^15 < 2^17 for the middle one.
 * A sum over K <= 131,072 columns is an integer of at most 2^24, and its product with an f32 scale, which has 24
 * significant bits, has at most 49: adding the scaled sums of blocks that share a scale is exact too.
 */
const lanes = 3;
const laneUnit = 2 ** 18;
const upperUnit = laneUnit * laneUnit;
/** 3^4, spelled out: V8 holds what `**` gives as a double, and then computes indices with it in doubles. */
const tableSize = 81;
/** Tables of 256 columns take 41 kB, which stays in the L1 cache or near it. */
const blockChunks = 64;
const blockColumns = blockChunks * chunkWeights;

/** Rows of activation codes that are multiplied at once at most. */
export const tileRows = lanes;

/** The scale of column n, group g is data[n · columnStep + g · groupStep]. */
export interface Scales {
  readonly data: Float32Array;
  readonly columnStep: number;
  readonly groupStep: number;
}

const valueScratch = new Scratch();
const tableScratch = new Scratch();

/**
 * Adds Σ_g scale[n, g] · Σ_k∈g x[m, k] · t[n, k] to sums[m · columns + n].
 * @param x one row of any numbers, or two or three rows of int8 codes, `depth` apart; sums of codes are exact
 * @param sums one row, or for two rows and three `tileRows` of them
 */
export function addTernaryProducts(
  x: Float64Array,
  rows: number,
  matrix: TernaryMatrix,
  scales: Scales,
  sums: Float64Array,
): void {
  const { depth, group, chunksPerGroup } = matrix;
  const values = valueScratch.take(blockColumns);
  const tables = tableScratch.take(blockChunks * tableSize);
  for (let groupStart = 0, g = 0; groupStart < depth; groupStart += group, g++) {
    const groupEnd = Math.min(depth, groupStart + group);
    let chunk = g * chunksPerGroup;
    for (let from = groupStart; from < groupEnd; from += blockColumns, chunk += blockChunks) {
      const to = Math.min(groupEnd, from + blockColumns);
      const chunks = Math.ceil((to - from) / chunkWeights);
      packLanes(x, rows, depth, from, to, values);
      values.fill(0, to - from, chunks * chunkWeights);
      fillTables(values, chunks, tables);
      addTableSums(tables, chunks, matrix, chunk, scales, g, rows > 1, sums);
    }
  }
}

/** Columns `from` to `to` of up to three rows, in the lanes of one. */
function packLanes(
  x: Float64Array,
  rows: number,
  depth: number,
  from: number,
  to: number,
  values: Float64Array,
): void {
  for (let k = from; k < to; k++) {
    let value = x[k]!;
    if (rows > 1) value += x[depth + k]! * laneUnit;
    if (rows > 2) value += x[2 * depth + k]! * upperUnit;
    values[k - from] = value;
  }
}

/** All sums of each four values times -1, 0 or 1, in the order of a chunk's index. */
function fillTables(values: Float64Array, chunks: number, tables: Float64Array): void {
  for (let chunk = 0, at = 0; chunk < chunks; chunk++) {
    const a = values[chunk * chunkWeights]!;
    const b = values[chunk * chunkWeights + 1]!;
    const c = values[chunk * chunkWeights + 2]!;
    const d = values[chunk * chunkWeights + 3]!;
    const sum = a + b;
    const difference = b - a;
    for (let third = -1; third <= 1; third++) {
      // `i` and `third` count through the weights of d and c
      for (let i = -1; i <= 1; i++, at += 9) {
        const high = third * d + i * c;
        tables[at] = high - sum;
        tables[at + 1] = high - b;
        tables[at + 2] = high - difference;
        tables[at + 3] = high - a;
        tables[at + 4] = high;
        tables[at + 5] = high + a;
        tables[at + 6] = high + difference;
        tables[at + 7] = high + b;
        tables[at + 8] = high + sum;
      }
    }
  }
}

/** Adds up the table entries of a block for every column, four columns at a time. */
function addTableSums(
  tables: Float64Array,
  count: number,
  { indices, columns, chunks }: TernaryMatrix,
  chunk: number,
  { data: scales, columnStep, groupStep }: Scales,
  group: number,
  isPacked: boolean,
  sums: Float64Array,
): void {
  const last = columns - 1;
  for (let n = 0; n < columns; n += 4) {
    const index0 = n * chunks + chunk;
    const index1 = n + 1 < columns ? index0 + chunks : index0;
    const index2 = n + 2 < columns ? index1 + chunks : index1;
    const index3 = n + 3 < columns ? index2 + chunks : index2;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let i = 0, table = 0; i < count; i++, table += tableSize) {
      sum0 += tables[table + indices[index0 + i]!]!;
      sum1 += tables[table + indices[index1 + i]!]!;
      sum2 += tables[table + indices[index2 + i]!]!;
      sum3 += tables[table + indices[index3 + i]!]!;
    }
    const at = n * columnStep + group * groupStep;
    if (isPacked) {
      addLanes(sum0, scales[at]!, sums, n, columns);
      if (n + 1 <= last) addLanes(sum1, scales[at + columnStep]!, sums, n + 1, columns);
      if (n + 2 <= last) addLanes(sum2, scales[at + 2 * columnStep]!, sums, n + 2, columns);
      if (n + 3 <= last) addLanes(sum3, scales[at + 3 * columnStep]!, sums, n + 3, columns);
    } else {
      sums[n]! += sum0 * scales[at]!;
      if (n + 1 <= last) sums[n + 1]! += sum1 * scales[at + columnStep]!;
      if (n + 2 <= last) sums[n + 2]! += sum2 * scales[at + 2 * columnStep]!;
      if (n + 3 <= last) sums[n + 3]! += sum3 * scales[at + 3 * columnStep]!;
    }
  }
}

/** Adds the three lanes of a packed sum, scaled, to a column of three rows. */
function addLanes(packed: number, scale: number, sums: Float64Array, at: number, columns: number): void {
  const upper = packed * (1 / upperUnit) + roundingMagic - roundingMagic;
  const rest = packed - upper * upperUnit;
  const middle = rest * (1 / laneUnit) + roundingMagic - roundingMagic;
  sums[at]! += (rest - middle * laneUnit) * scale;
  sums[at + columns]! += middle * scale;
  sums[at + 2 * columns]! += upper * scale;
}
