import type { Kernel } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { allocate, type Tensor, type TensorData } from "../../../tensor/tensor.ts";
import { broadcastStrides } from "./broadcast.ts";
import { fitted } from "./fit.ts";
import { checkPositions } from "./positions.ts";
import { Scratch } from "./scratch.ts";

const scoreScratch = new Scratch();
const queryScratch = new Scratch();
const sumScratch = new Scratch();

/** One query at a time: its scores are a row of memory, and keys it does not see are not read. */
export const attention: Kernel<NeuralOps["nn.sdpa"]> = ({ q, k, v, mask, start_pos }, attrs) => {
  const { scale, causal, softcap, window } = attrs;
  const [batch, heads, length, width] = q.shape as [number, number, number, number];
  const [, keyHeads, keys] = k.shape as [number, number, number, number];
  const valueWidth = v.shape[3]!;
  const start = start_pos?.data[0] ?? keys - length;
  if (start_pos !== undefined) checkPositions(start, length, keys, "a key/value cache");
  const out = allocate(q.dtype, batch * heads * length * valueWidth);
  const scores = scoreScratch.take(keys);
  const query = queryScratch.take(width);
  const sums = sumScratch.take(valueWidth);
  const maskRow = mask && maskRows(mask, [batch, heads, length, keys]);
  const queryHeadsPerKeyHead = heads / keyHeads;

  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const head = b * keyHeads + Math.floor(h / queryHeadsPerKeyHead);
      const firstKey = head * keys * width;
      const firstValue = head * keys * valueWidth;
      for (let s = 0; s < length; s++) {
        const row = (b * heads + h) * length + s;
        const position = start + s;
        const from = window > 0 ? Math.max(0, position - window + 1) : 0;
        const to = causal ? position + 1 : keys;
        // A query that sees no key keeps the zeros of a new tensor.
        if (from >= to) continue;
        for (let i = 0; i < width; i++) query[i] = q.data[row * width + i]! * scale;
        multiplyKeys(query, k.data, firstKey, width, from, to, scores);
        if (softcap > 0)
          for (let j = from; j < to; j++) scores[j] = softcap * Math.tanh(scores[j]! / softcap);
        maskRow?.(scores, b, h, s, from, to);
        const total = exponentials(scores, from, to);
        if (total === 0) continue;
        addValues(scores, v.data, firstValue, valueWidth, from, to, sums);
        for (let i = 0; i < valueWidth; i++) out[row * valueWidth + i] = sums[i]! / total;
      }
    }
  }
  const shape = [batch, heads, length, valueWidth];
  return [fitted(q.dtype, shape, out)];
};

/** scores[j] = query · key j, four keys at a time. */
function multiplyKeys(
  query: Float64Array,
  keys: TensorData,
  offset: number,
  width: number,
  from: number,
  to: number,
  scores: Float64Array,
): void {
  const last = to - 1;
  for (let j = from; j < to; j += 4) {
    const j1 = Math.min(j + 1, last);
    const j2 = Math.min(j + 2, last);
    const j3 = Math.min(j + 3, last);
    const k0 = offset + j * width;
    const k1 = offset + j1 * width;
    const k2 = offset + j2 * width;
    const k3 = offset + j3 * width;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let i = 0; i < width; i++) {
      const value = query[i]!;
      sum0 += value * keys[k0 + i]!;
      sum1 += value * keys[k1 + i]!;
      sum2 += value * keys[k2 + i]!;
      sum3 += value * keys[k3 + i]!;
    }
    scores[j] = sum0;
    scores[j1] = sum1;
    scores[j2] = sum2;
    scores[j3] = sum3;
  }
}

/**
 * Turns scores into e^(score - max) in place.
 * @returns their sum; 0 when every score is -∞
 */
function exponentials(scores: Float64Array, from: number, to: number): number {
  let max = Number.NEGATIVE_INFINITY;
  // NaN is not below anything, so that it gets into max or into the sum
  for (let j = from; j < to; j++) if (!(scores[j]! <= max)) max = scores[j]!;
  if (max === Number.NEGATIVE_INFINITY) return 0;
  let sum = 0;
  for (let j = from; j < to; j++) {
    const weight = Math.exp(scores[j]! - max);
    scores[j] = weight;
    sum += weight;
  }
  return sum;
}

/** sums = Σ weight j · value j, four values at a time. */
function addValues(
  weights: Float64Array,
  values: TensorData,
  offset: number,
  width: number,
  from: number,
  to: number,
  sums: Float64Array,
): void {
  for (let i = 0; i < width; i++) sums[i] = 0;
  let j = from;
  for (; j + 4 <= to; j += 4) {
    const w0 = weights[j]!;
    const w1 = weights[j + 1]!;
    const w2 = weights[j + 2]!;
    const w3 = weights[j + 3]!;
    const v0 = offset + j * width;
    const v1 = v0 + width;
    const v2 = v1 + width;
    const v3 = v2 + width;
    for (let i = 0; i < width; i++)
      sums[i] =
        sums[i]! +
        (w0 * values[v0 + i]! + w1 * values[v1 + i]! + (w2 * values[v2 + i]! + w3 * values[v3 + i]!));
  }
  for (; j < to; j++) {
    const weight = weights[j]!;
    const value = offset + j * width;
    for (let i = 0; i < width; i++) sums[i]! += weight * values[value + i]!;
  }
}

/** Applies the row of a mask, broadcast to the shape of the scores [B, H, S, T], to the scores of one query. */
function maskRows(mask: Tensor, shape: readonly [number, number, number, number]) {
  const [ofBatch, ofHead, ofQuery, ofKey] = broadcastStrides(mask.shape, shape) as [
    number,
    number,
    number,
    number,
  ];
  const { data } = mask;
  const isBool = mask.dtype === "bool";
  return (scores: Float64Array, b: number, h: number, s: number, from: number, to: number): void => {
    const row = b * ofBatch + h * ofHead + s * ofQuery;
    if (isBool) {
      for (let j = from; j < to; j++) if (data[row + j * ofKey] === 0) scores[j] = Number.NEGATIVE_INFINITY;
    } else {
      for (let j = from; j < to; j++) scores[j]! += data[row + j * ofKey]!;
    }
  };
}
