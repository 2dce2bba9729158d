import { allocate, type Tensor } from "../../../tensor/tensor.ts";
import { fitted } from "../kernels/fit.ts";
import { checkPositions } from "../kernels/positions.ts";
import { Scratch } from "../kernels/scratch.ts";

const scoreScratch = new Scratch();
const queryScratch = new Scratch();
const sumScratch = new Scratch();

/** Overwrites rows of a cache [1, C, H, D] with those of a tensor [1, S, H, D], from `start` on. */
export function updateCache(cache: Tensor, rows: Tensor, start: number): void {
  checkPositions(start, rows.shape[1]!, cache.shape[1]!, "a key/value cache");
  const [, , heads, width] = rows.shape as [number, number, number, number];
  cache.data.set(rows.data, start * heads * width);
}

/**
 * Attention of queries [1, S, H, D], which are at the positions from `start` on, over caches [1, C, Hk, D]: each of them
 * sees the keys up to its own position, scaled by 1/√D.
 */
export function cachedAttention(q: Tensor, keys: Tensor, values: Tensor, start: number): Tensor {
  const [, length, heads, width] = q.shape as [number, number, number, number];
  const [, capacity, keyHeads] = keys.shape as [number, number, number, number];
  checkPositions(start, length, capacity, "a key/value cache");
  const step = keyHeads * width;
  const scale = 1 / Math.sqrt(width);
  const out = allocate(q.dtype, q.data.length);
  const scores = scoreScratch.take(capacity);
  const query = queryScratch.take(width);
  const sums = sumScratch.take(width);
  for (let s = 0; s < length; s++) {
    const count = start + s + 1;
    for (let h = 0; h < heads; h++) {
      const row = (s * heads + h) * width;
      const first = Math.floor((h * keyHeads) / heads) * width;
      for (let i = 0; i < width; i++) query[i] = q.data[row + i]! * scale;
      let most = Number.NEGATIVE_INFINITY;
      for (let j = 0, at = first; j < count; j++, at += step) {
        let score = 0;
        for (let i = 0; i < width; i++) score += query[i]! * keys.data[at + i]!;
        scores[j] = score;
        // NaN is not below anything, so that it gets into the result
        if (!(score <= most)) most = score;
      }
      let total = 0;
      for (let j = 0; j < count; j++) total += scores[j] = Math.exp(scores[j]! - most);
      sums.fill(0, 0, width);
      for (let j = 0, at = first; j < count; j++, at += step) {
        const weight = scores[j]!;
        for (let i = 0; i < width; i++) sums[i]! += weight * values.data[at + i]!;
      }
      for (let i = 0; i < width; i++) out[row + i] = sums[i]! / total;
    }
  }
  return fitted(q.dtype, q.shape, out);
}
