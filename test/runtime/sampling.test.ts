import { describe, expect, it } from "vitest";
import { Pcg32 } from "../../src/runtime/random.ts";
import { createSampler, type SamplingOptions } from "../../src/runtime/sampling.ts";

const logitsOf = (probabilities: readonly number[]) => Float32Array.from(probabilities, Math.log);

function frequencies(probabilities: readonly number[], options: SamplingOptions, draws = 20000): number[] {
  const sample = createSampler({ temperature: 1, seed: 7, ...options });
  const logits = logitsOf(probabilities);
  const counts = probabilities.map(() => 0);
  for (let i = 0; i < draws; i++) counts[sample(logits)]! += 1 / draws;
  return counts;
}

describe("Pcg32", () => {
  it("gives the sequence of the reference implementation's demo (seed 42, stream 54)", () => {
    const random = new Pcg32(42n, 54n);
    const sequence = Array.from({ length: 6 }, () => random.next());
    expect(sequence).toEqual([0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e]);
  });

  it("gives uniform numbers in [0, 1)", () => {
    const random = new Pcg32(1n);
    const numbers = Array.from({ length: 10000 }, () => random.uniform());
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    expect(numbers.reduce((a, b) => a + b) / numbers.length).toBeCloseTo(0.5, 1);
  });
});

describe("createSampler", () => {
  it("takes the first of the likeliest tokens by default", () => {
    expect(createSampler()(Float32Array.of(-3, 2, 5, 5, Number.NaN))).toBe(2);
  });

  it("draws each token as often as its probability says", () => {
    const drawn = frequencies([0.5, 0.3, 0.15, 0.05], {});
    for (const [i, p] of [0.5, 0.3, 0.15, 0.05].entries()) expect(drawn[i]).toBeCloseTo(p, 1.8);
  });

  it("divides logits by the temperature", () => {
    const drawn = frequencies([0.8, 0.2], { temperature: 2 });
    expect(drawn[0]! / drawn[1]!).toBeCloseTo(2, 0.9);
  });

  it("keeps exactly the K likeliest tokens, also among equal ones", () => {
    expect(frequencies([0.1, 0.4, 0.2, 0.3], { topK: 2 }, 2000).map((f) => f > 0)).toEqual([
      false,
      true,
      false,
      true,
    ]);
    expect(frequencies([0.25, 0.25, 0.25, 0.25], { topK: 3 }, 2000).map((f) => f > 0)).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it("keeps the likeliest tokens until they reach P, with the one that crosses it", () => {
    const kept = (topP: number) => frequencies([0.1, 0.4, 0.2, 0.3], { topP }, 3000).map((f) => f > 0);
    expect(kept(0.35)).toEqual([false, true, false, false]);
    expect(kept(0.65)).toEqual([false, true, false, true]);
    expect(kept(0.85)).toEqual([false, true, true, true]);
  });

  it("applies top-p to what top-k has left", () => {
    // 0.4 and 0.3 are left, as 4/7 and 3/7: the first alone reaches 0.55 of them
    expect(frequencies([0.4, 0.3, 0.2, 0.1], { topK: 2, topP: 0.55 }, 2000)[0]).toBeCloseTo(1);
  });

  it("chooses among the likeliest tokens alone as it does among all", () => {
    const random = new Pcg32(5n);
    for (let round = 0; round < 300; round++) {
      // few different logits, so that many are equal
      const logits = Float32Array.from({ length: 60 }, () => Math.floor(random.uniform() * 8) / 2);
      if (round % 3 === 0) logits[round % 60] = Number.NEGATIVE_INFINITY;
      const byLogit = Uint32Array.from(logits, (_, i) => i).sort((a, b) => logits[b]! - logits[a]! || a - b);
      const topK = 1 + Math.floor(random.uniform() * 60);
      const ids = byLogit.subarray(0, topK);
      const best = Float32Array.from(ids, (id) => logits[id]!);
      const options = { temperature: 0.1 + random.uniform(), topK, topP: 0.3 + 0.7 * random.uniform() };
      const [whole, part] = [options, options].map((each) => createSampler({ ...each, seed: round }));
      for (let draw = 0; draw < 5; draw++) expect(part!(best, ids)).toBe(whole!(logits));
      expect(createSampler()(best, ids)).toBe(createSampler()(logits));
    }
  });

  it("makes equal choices for equal seeds, and others for others", () => {
    const draws = (seed: number) => {
      const sample = createSampler({ temperature: 1, seed });
      return Array.from({ length: 50 }, () => sample(new Float32Array(100))).join();
    };
    expect(draws(3)).toBe(draws(3));
    expect(draws(3)).not.toBe(draws(4));
  });

  it("says everything that is out of range at once", () => {
    const all = { temperature: -1, topK: 1.5, topP: 0, seed: -2 };
    expect(() => createSampler(all)).toThrow(/temperature[\s\S]*topK[\s\S]*topP[\s\S]*seed/);
  });

  it("refuses logits without a number in them", () => {
    expect(() => createSampler()(Float32Array.of(Number.NaN, Number.NaN))).toThrow(/logits-not-finite/);
  });
});
