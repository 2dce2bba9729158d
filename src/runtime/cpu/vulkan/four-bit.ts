import { allocate, type Tensor, type TensorData } from "../../../tensor/tensor.ts";
import { fitted } from "../kernels/fit.ts";
import { denseRows, gemm, type LoadRows } from "../kernels/gemm.ts";
import { rowsOf } from "../kernels/linear.ts";
import { Scratch } from "../kernels/scratch.ts";

/**
 * Weights of 4 bits: a code of 8 is 0. A byte holds two neighbours along K, the first in its low half. Scales are
 * [K / groupSize, N].
 */
interface FourBitWeight {
  /** [N, K / 2] */
  readonly codes: Tensor;
  readonly scales: Tensor;
  readonly groupSize: number;
}

/** From this many rows on, decoding the weights into panels costs less than it saves. */
const panelRows = 4;

/** x [..., K] · weightᵀ, as [..., N]; sums of integers are exact. */
export function linearFourBit(x: Tensor, weight: FourBitWeight, bias: Tensor | null): Tensor {
  const columns = weight.codes.shape[0]!;
  const depth = 2 * weight.codes.shape[1]!;
  if (x.shape.at(-1) !== depth)
    throw new RangeError(`Rows of ${x.shape.at(-1)} are multiplied by a matrix of ${depth}.`);
  const rows = rowsOf(x);
  const out = allocate(x.dtype, rows * columns);
  if (rows < panelRows) {
    for (let row = 0; row < rows; row++) multiplyRow(x.data, row * depth, weight, out, row * columns);
    if (bias !== null) for (let i = 0; i < out.length; i++) out[i]! += bias.data[i % columns]!;
  } else {
    const [left, right] = [denseRows(x.data, depth), decodedRows(weight)];
    gemm({ rows, columns, depth, left, right, bias: bias?.data, out, offset: 0 });
  }
  return fitted(x.dtype, [...x.shape.slice(0, -1), columns], out);
}

const rowScratch = new Scratch();
const sumScratch = new Scratch();

/** One row of x times all of the weight: codes are taken as they are, and 8 times the sum of x off the sum. */
function multiplyRow(
  x: TensorData,
  from: number,
  { codes, scales, groupSize }: FourBitWeight,
  out: TensorData,
  to: number,
): void {
  const [columns, bytesPerRow] = codes.shape as [number, number];
  const bytes = codes.data;
  const factors = scales.data;
  const stride = scales.shape[1]!;
  const groupBytes = groupSize / 2;
  const groups = bytesPerRow / groupBytes;
  const row = rowScratch.take(2 * bytesPerRow);
  row.set(x.subarray(from, from + 2 * bytesPerRow));
  const offsets = sumScratch.take(groups);
  for (let group = 0; group < groups; group++) {
    let sum = 0;
    for (let k = group * groupSize; k < (group + 1) * groupSize; k++) sum += row[k]!;
    offsets[group] = 8 * sum;
  }
  const last = columns - 1;
  for (let n = 0; n < columns; n += 4) {
    const n1 = Math.min(n + 1, last);
    const n2 = Math.min(n + 2, last);
    const n3 = Math.min(n + 3, last);
    let total0 = 0;
    let total1 = 0;
    let total2 = 0;
    let total3 = 0;
    for (let group = 0; group < groups; group++) {
      const start = group * groupBytes;
      const w0 = n * bytesPerRow;
      const w1 = n1 * bytesPerRow;
      const w2 = n2 * bytesPerRow;
      const w3 = n3 * bytesPerRow;
      let sum0 = 0;
      let sum1 = 0;
      let sum2 = 0;
      let sum3 = 0;
      for (let j = start; j < start + groupBytes; j++) {
        const low = row[2 * j]!;
        const high = row[2 * j + 1]!;
        const byte0 = bytes[w0 + j]!;
        const byte1 = bytes[w1 + j]!;
        const byte2 = bytes[w2 + j]!;
        const byte3 = bytes[w3 + j]!;
        sum0 += low * (byte0 & 15) + high * (byte0 >> 4);
        sum1 += low * (byte1 & 15) + high * (byte1 >> 4);
        sum2 += low * (byte2 & 15) + high * (byte2 >> 4);
        sum3 += low * (byte3 & 15) + high * (byte3 >> 4);
      }
      const offset = offsets[group]!;
      const scale = group * stride;
      total0 += (sum0 - offset) * factors[scale + n]!;
      total1 += (sum1 - offset) * factors[scale + n1]!;
      total2 += (sum2 - offset) * factors[scale + n2]!;
      total3 += (sum3 - offset) * factors[scale + n3]!;
    }
    // where fewer than four are left, the last one is computed again and stored again
    out[to + n] = total0;
    out[to + n1] = total1;
    out[to + n2] = total2;
    out[to + n3] = total3;
  }
}

const decodedRows =
  ({ codes, scales, groupSize }: FourBitWeight): LoadRows =>
  (panel, from, count) => {
    const bytes = codes.data;
    const bytesPerRow = codes.shape[1]!;
    const stride = scales.shape[1]!;
    const groupBytes = groupSize / 2;
    for (let i = 0; i < count; i++) {
      const start = (from + i) * bytesPerRow;
      let k = 2 * i * bytesPerRow;
      for (let j = 0, group = 0; j < bytesPerRow; group++) {
        const scale = scales.data[group * stride + from + i]!;
        for (const end = j + groupBytes; j < end; j++, k += 2) {
          const byte = bytes[start + j]!;
          panel[k] = ((byte & 15) - 8) * scale;
          panel[k + 1] = ((byte >> 4) - 8) * scale;
        }
      }
    }
  };

/**
 * Rows of a table of codes [V, D / 2] with scales [V, D / groupSize].
 * @param isLowFirst whether the first of two neighbours is in the low half of a byte
 */
export function embedFourBit(
  { codes, scales, groupSize }: FourBitWeight,
  ids: Tensor,
  isLowFirst: boolean,
): Tensor {
  const [entries, bytesPerRow] = codes.shape as [number, number];
  const width = 2 * bytesPerRow;
  const groups = scales.shape[1]!;
  const out = allocate(scales.dtype, ids.data.length * width);
  ids.data.forEach((id, i) => {
    if (!(id >= 0 && id < entries))
      throw new RangeError(`Id ${id} is outside the vocabulary, whose ids are 0 to ${entries - 1}.`);
    for (let j = 0; j < bytesPerRow; j++) {
      const byte = codes.data[id * bytesPerRow + j]!;
      const scale = scales.data[id * groups + Math.floor((2 * j) / groupSize)]!;
      const [low, high] = [(byte & 15) - 8, (byte >> 4) - 8];
      out[i * width + 2 * j] = (isLowFirst ? low : high) * scale;
      out[i * width + 2 * j + 1] = (isLowFirst ? high : low) * scale;
    }
  });
  return fitted(scales.dtype, [...ids.shape, width], out);
}
