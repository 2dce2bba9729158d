import { expect } from "vitest";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** What hides a key. */
export const minus = Number.NEGATIVE_INFINITY;

/** Whether, or with which addend, query i of head h in batch b sees key j. */
export type Mask = (b: number, h: number, i: number, j: number) => number;

/** Attention by its definition, one output element at a time. */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Mask,
  scale = 1 / Math.sqrt(q.shape[3]!),
): number[] {
  const [batch, heads, queries, width] = q.shape as [number, number, number, number];
  const [, keyHeads, keys, valueWidth] = v.shape as [number, number, number, number];
  const out: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < queries; i++) {
        const head = b * keyHeads + Math.floor((h * keyHeads) / heads);
        const weights = Array.from({ length: keys }, (_, j) => {
          let dot = 0;
          for (let d = 0; d < width; d++)
            dot +=
              q.data[((b * heads + h) * queries + i) * width + d]! * k.data[(head * keys + j) * width + d]!;
          return Math.exp(dot * scale + mask(b, h, i, j));
        });
        const total = weights.reduce((sum, w) => sum + w, 0);
        for (let d = 0; d < valueWidth; d++) {
          const sum = weights.reduce((s, w, j) => s + w * v.data[(head * keys + j) * valueWidth + d]!, 0);
          out.push(total === 0 ? 0 : sum / total);
        }
      }
  return out;
}

export function expectClose(found: ArrayLike<number>, expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(found[i]).toBeCloseTo(value, 5);
  });
}
