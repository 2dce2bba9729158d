import { describe, expect, it } from "vitest";
import { perplexityOf } from "../../src/runtime/perplexity.ts";

const vocabSize = 5;
/** Logits that depend on the token and on its position in the window. */
const logitsAt = (id: number, position: number) =>
  Float32Array.from({ length: vocabSize }, (_, v) => Math.sin(id * 3 + v * 7 + position));

async function* each(ids: readonly number[]) {
  for (const [position, id] of ids.entries()) yield logitsAt(id, position);
}

function naive(ids: readonly number[], window: number, windows: number): number {
  let nll = 0;
  for (let j = 0; j < windows; j++) {
    for (let i = 0; i < window; i++) {
      const p = Array.from(logitsAt(ids[j * window + i]!, i), Math.exp);
      nll -= Math.log(p[ids[j * window + i + 1]!]! / p.reduce((a, b) => a + b));
    }
  }
  return nll / (windows * window);
}

const ids = Array.from({ length: 23 }, (_, i) => (i * i + 1) % vocabSize);

describe("perplexityOf", () => {
  it("counts whole windows only, each from an empty cache", async () => {
    const result = await perplexityOf(each, ids, { window: 5 });
    expect(result.tokens).toBe(20);
    expect(result.nllPerToken).toBeCloseTo(naive(ids, 5, 4), 12);
    expect(result.perplexity).toBeCloseTo(Math.exp(naive(ids, 5, 4)), 12);
  });

  it("needs one id more than it predicts", async () => {
    expect((await perplexityOf(each, ids.slice(0, 21), { window: 5 })).tokens).toBe(20);
    expect((await perplexityOf(each, ids.slice(0, 20), { window: 5 })).tokens).toBe(15);
  });

  it("stops after maxWindows", async () => {
    const result = await perplexityOf(each, ids, { window: 5, maxWindows: 2 });
    expect(result).toMatchObject({ tokens: 10, nllPerToken: expect.closeTo(naive(ids, 5, 2), 12) });
  });

  it("does not overflow", async () => {
    async function* huge(window: readonly number[]) {
      for (const _ of window) yield Float32Array.of(1000, 1000);
    }
    expect((await perplexityOf(huge, [0, 1, 0], { window: 2 })).perplexity).toBeCloseTo(2, 10);
  });

  it("refuses ids that do not fill one window", async () => {
    await expect(perplexityOf(each, ids, { window: 23 })).rejects.toThrow(/eval-too-short/);
  });
});
