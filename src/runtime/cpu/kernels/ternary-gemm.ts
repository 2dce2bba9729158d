import { roundingMagic } from "./quantize.ts";
import { Scratch } from "./scratch.ts";

/** Ternary codes [columns, depth] with their scales. */
export interface TernaryMatrix {
  readonly codes: Int8Array;
  readonly columns: number;
  readonly depth: number;
  /** The scale of column n, group g is scales[n · columnStep + g · groupStep]. */
  readonly scales: Float32Array;
  readonly columnStep: number;
  readonly groupStep: number;
  /** Neighbouring weights of a column that share a scale. */
  readonly group: number;
}

/*
 * Three rows of activation codes travel in one double, x0 + x1·2^18 + x2·2^36, so that one multiplication and one
 * addition do the work of three. All of it is exact. Codes q are integers with |q| <= 128 and t is -1, 0 or 1, so over
 * a block of 1020 columns every partial sum of q·t is an integer of at most 128 · 1020 = 130,560 < 2^17. Then
 * - a packed partial sum is an integer of at most 130,560 · (2^36 + 2^18 + 1) < 2^53: a double holds it exactly, in
 *   whatever order the terms are added;
 * - its two lower lanes together are at most 130,560 · (2^18 + 1) < 2^35, less than half of the upper lane's unit, so
 *   rounding to a multiple of that unit gives the upper lane; likewise 130,560 < 2^17 for the middle one.
 * A sum over the blocks of a group, of K <= 131,072 columns, is an integer of at most 2^24, and its product with an
 * f32 scale, which has 24 significant bits, has at most 49: adding scaled blocks up is exact too.
 */
const lanes = 3;
const laneUnit = 2 ** 18;
const upperUnit = laneUnit * laneUnit;
const blockColumns = 1020;

/** Rows that one call of `addTernaryProducts` multiplies at most. */
export const tileRows = 2 * lanes;

const packedScratch = new Scratch();

/**
 * Adds Σ_g scale[n, g] · Σ_k∈g q[m, k] · t[n, k] to sums[m · columns + n] for up to `tileRows` rows of activation
 * codes, `depth` apart. The inner sums are exact integers.
 * @param sums of 1 row for one row of codes, else of a multiple of `lanes`, to which the rows are filled up
 */
export function addTernaryProducts(
  codes: Float64Array,
  rows: number,
  matrix: TernaryMatrix,
  sums: Float64Array,
): void {
  const { depth, group } = matrix;
  for (let from = 0, g = 0; from < depth; from += group, g++) {
    const end = Math.min(depth, from + group);
    if (rows === 1) {
      addTernaryRow(codes, matrix, from, end, g, sums);
      continue;
    }
    for (let at = from; at < end; at += blockColumns) {
      const to = Math.min(end, at + blockColumns);
      const packed = packedScratch.take(2 * (to - at));
      if (rows <= lanes) {
        packLanes(codes, 0, rows, depth, at, to, packed, 0, 1);
        addOneTriple(packed, matrix, at, to, g, sums);
      } else {
        packLanes(codes, 0, lanes, depth, at, to, packed, 0, 2);
        packLanes(codes, lanes, rows - lanes, depth, at, to, packed, 1, 2);
        addTwoTriples(packed, matrix, at, to, g, sums);
      }
    }
  }
}

/** Packs columns `from` to `to` of up to three rows; the numbers of one triple are `step` apart. */
function packLanes(
  codes: Float64Array,
  row: number,
  rows: number,
  depth: number,
  from: number,
  to: number,
  packed: Float64Array,
  at: number,
  step: number,
): void {
  const row0 = row * depth;
  const row1 = row0 + depth;
  const row2 = row1 + depth;
  for (let k = from, p = at; k < to; k++, p += step) {
    let value = codes[row0 + k]!;
    if (rows > 1) value += codes[row1 + k]! * laneUnit;
    if (rows > 2) value += codes[row2 + k]! * upperUnit;
    packed[p] = value;
  }
}

/** Adds the three lanes of a packed sum, scaled, to a column of three rows of sums. */
function addLanes(packed: number, scale: number, sums: Float64Array, at: number, columns: number): void {
  const upper = packed * (1 / upperUnit) + roundingMagic - roundingMagic;
  const rest = packed - upper * upperUnit;
  const middle = rest * (1 / laneUnit) + roundingMagic - roundingMagic;
  sums[at]! += (rest - middle * laneUnit) * scale;
  sums[at + columns]! += middle * scale;
  sums[at + 2 * columns]! += upper * scale;
}

/** Two triples of rows by three columns at a time: bench/kernels.ts has this tile ahead of larger and smaller ones. */
function addTwoTriples(
  packed: Float64Array,
  { codes, columns, depth, scales, columnStep, groupStep }: TernaryMatrix,
  from: number,
  to: number,
  group: number,
  sums: Float64Array,
): void {
  const count = to - from;
  const last = columns - 1;
  const second = lanes * columns;
  for (let n = 0; n < columns; n += 3) {
    const t0 = n * depth + from;
    const t1 = Math.min(n + 1, last) * depth + from;
    const t2 = Math.min(n + 2, last) * depth + from;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    for (let k = 0; k < count; k++) {
      const a = packed[2 * k]!;
      const b = packed[2 * k + 1]!;
      const code0 = codes[t0 + k]!;
      const code1 = codes[t1 + k]!;
      const code2 = codes[t2 + k]!;
      a0 += a * code0;
      a1 += a * code1;
      a2 += a * code2;
      b0 += b * code0;
      b1 += b * code1;
      b2 += b * code2;
    }
    const at = n * columnStep + group * groupStep;
    const scale0 = scales[at]!;
    addLanes(a0, scale0, sums, n, columns);
    addLanes(b0, scale0, sums, second + n, columns);
    if (n + 1 > last) return;
    const scale1 = scales[at + columnStep]!;
    addLanes(a1, scale1, sums, n + 1, columns);
    addLanes(b1, scale1, sums, second + n + 1, columns);
    if (n + 2 > last) return;
    const scale2 = scales[at + 2 * columnStep]!;
    addLanes(a2, scale2, sums, n + 2, columns);
    addLanes(b2, scale2, sums, second + n + 2, columns);
  }
}

function addOneTriple(
  packed: Float64Array,
  { codes, columns, depth, scales, columnStep, groupStep }: TernaryMatrix,
  from: number,
  to: number,
  group: number,
  sums: Float64Array,
): void {
  const count = to - from;
  const last = columns - 1;
  for (let n = 0; n < columns; n += 4) {
    const t0 = n * depth + from;
    const t1 = Math.min(n + 1, last) * depth + from;
    const t2 = Math.min(n + 2, last) * depth + from;
    const t3 = Math.min(n + 3, last) * depth + from;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let k = 0; k < count; k++) {
      const value = packed[k]!;
      sum0 += value * codes[t0 + k]!;
      sum1 += value * codes[t1 + k]!;
      sum2 += value * codes[t2 + k]!;
      sum3 += value * codes[t3 + k]!;
    }
    const at = n * columnStep + group * groupStep;
    addLanes(sum0, scales[at]!, sums, n, columns);
    if (n + 1 <= last) addLanes(sum1, scales[at + columnStep]!, sums, n + 1, columns);
    if (n + 2 <= last) addLanes(sum2, scales[at + 2 * columnStep]!, sums, n + 2, columns);
    if (n + 3 <= last) addLanes(sum3, scales[at + 3 * columnStep]!, sums, n + 3, columns);
  }
}

/** One row, with nothing to pack: the numbers need not be integers. */
function addTernaryRow(
  row: Float64Array,
  { codes, columns, depth, scales, columnStep, groupStep }: TernaryMatrix,
  from: number,
  to: number,
  group: number,
  sums: Float64Array,
): void {
  const last = columns - 1;
  for (let n = 0; n < columns; n += 4) {
    const t0 = n * depth;
    const t1 = Math.min(n + 1, last) * depth;
    const t2 = Math.min(n + 2, last) * depth;
    const t3 = Math.min(n + 3, last) * depth;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let k = from; k < to; k++) {
      const value = row[k]!;
      sum0 += value * codes[t0 + k]!;
      sum1 += value * codes[t1 + k]!;
      sum2 += value * codes[t2 + k]!;
      sum3 += value * codes[t3 + k]!;
    }
    const at = n * columnStep + group * groupStep;
    sums[n]! += sum0 * scales[at]!;
    if (n + 1 <= last) sums[n + 1]! += sum1 * scales[at + columnStep]!;
    if (n + 2 <= last) sums[n + 2]! += sum2 * scales[at + 2 * columnStep]!;
    if (n + 3 <= last) sums[n + 3]! += sum3 * scales[at + 3 * columnStep]!;
  }
}
