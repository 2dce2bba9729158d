import type { TensorData } from "../../../tensor/tensor.ts";
import { Scratch } from "./scratch.ts";

const rowScratch = new Scratch();

/** Int8 codes [columns, depth] as words of four; undefined where words and rows do not begin together. */
export const wordsOf = (codes: TensorData, depth: number): Int32Array | undefined =>
  depth % 4 === 0 && codes.byteOffset % 4 === 0
    ? new Int32Array(codes.buffer, codes.byteOffset, codes.length / 4)
    : undefined;

/**
 * Rows of x [rows, depth] times every row of int8 codes [columns, depth], summed in f64 in the order of k and not
 * scaled. For a few rows: each of them reads all of the codes.
 */
export function multiplyWords(
  x: TensorData,
  rows: number,
  words: Int32Array,
  out: TensorData,
  columns: number,
  depth: number,
): void {
  const row = rowScratch.take(depth);
  for (let m = 0; m < rows; m++) {
    row.set(x.subarray(m * depth, (m + 1) * depth));
    multiplyRow(row, words, out, m * columns, columns, depth / 4);
  }
}

/**
 * Four codes of four columns at a time. A read and its bounds check cost more than the shifts that take a word
 * apart: this takes three quarters of the time of the product with f32 weights, and reading single bytes more than it.
 */
function multiplyRow(
  x: Float64Array,
  words: Int32Array,
  out: TensorData,
  to: number,
  columns: number,
  wordsPerRow: number,
): void {
  const last = columns - 1;
  for (let n = 0; n < columns; n += 4) {
    const n1 = Math.min(n + 1, last);
    const n2 = Math.min(n + 2, last);
    const n3 = Math.min(n + 3, last);
    const w0 = n * wordsPerRow;
    const w1 = n1 * wordsPerRow;
    const w2 = n2 * wordsPerRow;
    const w3 = n3 * wordsPerRow;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let i = 0, k = 0; i < wordsPerRow; i++, k += 4) {
      const codes0 = words[w0 + i]!;
      const codes1 = words[w1 + i]!;
      const codes2 = words[w2 + i]!;
      const codes3 = words[w3 + i]!;
      const x0 = x[k]!;
      sum0 += x0 * ((codes0 << 24) >> 24);
      sum1 += x0 * ((codes1 << 24) >> 24);
      sum2 += x0 * ((codes2 << 24) >> 24);
      sum3 += x0 * ((codes3 << 24) >> 24);
      const x1 = x[k + 1]!;
      sum0 += x1 * ((codes0 << 16) >> 24);
      sum1 += x1 * ((codes1 << 16) >> 24);
      sum2 += x1 * ((codes2 << 16) >> 24);
      sum3 += x1 * ((codes3 << 16) >> 24);
      const x2 = x[k + 2]!;
      sum0 += x2 * ((codes0 << 8) >> 24);
      sum1 += x2 * ((codes1 << 8) >> 24);
      sum2 += x2 * ((codes2 << 8) >> 24);
      sum3 += x2 * ((codes3 << 8) >> 24);
      const x3 = x[k + 3]!;
      sum0 += x3 * (codes0 >> 24);
      sum1 += x3 * (codes1 >> 24);
      sum2 += x3 * (codes2 >> 24);
      sum3 += x3 * (codes3 >> 24);
    }
    // where fewer than four are left, the last one is computed again and stored again
    out[to + n] = sum0;
    out[to + n1] = sum1;
    out[to + n2] = sum2;
    out[to + n3] = sum3;
  }
}
