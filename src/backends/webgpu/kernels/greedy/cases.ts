import { addDims, subtractDims, symbol } from "../../../../tensor/dim.ts";
import { randomFloats } from "../../case-data.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import { isDistinct } from "../operand-data.ts";
import {
  type GreedyFinishParams,
  type GreedyPartialParams,
  greedyFinish,
  greedyPartial,
  greedyPartialWords,
} from "./kernel.ts";

/** A f32's place in the order of all of them, as an unsigned integer; 0 for NaN. */
function keyOf(value: number): number {
  if (Number.isNaN(value)) return 0;
  const [bits] = new Uint32Array(Float32Array.of(value === 0 ? 0 : value).buffer);
  return bits! >= 0x80000000 ? ~bits! >>> 0 : (bits! | 0x80000000) >>> 0;
}

/** The key of the largest logit from `from` up to `to`, and its index. */
function bestOf(logits: ArrayLike<number>, from: number, to: number): { key: number; at: number } {
  let best = { key: 0, at: from };
  for (let i = from; i < to; i++) if (keyOf(logits[i]!) > best.key) best = { key: keyOf(logits[i]!), at: i };
  return best;
}

const minus = Number.NEGATIVE_INFINITY;
const plus = Number.POSITIVE_INFINITY;
const slice = 2048;

const logitSets = {
  "ties, a NaN": (count: number) =>
    randomFloats(1, count, 8).map((x, i) => (i === 7 ? Number.NaN : Math.round(x))),
  negative: (count: number) => randomFloats(2, count).map((x) => -1 - Math.abs(x)),
  "nothing but -∞": (count: number) => new Float32Array(count).fill(minus),
  "one that is ∞": (count: number) => randomFloats(3, count).fill(plus, count - 2, count - 1),
  "zeros of both signs": (count: number) =>
    new Float32Array(count).map((_, i) => (i === 0 ? -1 : i % 2 === 1 ? -0 : 0)),
  "nothing but NaN": (count: number) => new Float32Array(count).fill(Number.NaN),
} as const;

function partialCase(
  name: keyof typeof logitSets,
  vocabulary: number,
  rows: number,
): KernelCase<GreedyPartialParams> {
  return {
    name: `${name}, ${vocabulary} of row ${rows - 1}`,
    params: { vocabulary, row: subtractDims(symbol("S", 4096, 1), 1) },
    symbols: { S: rows },
    on: isDistinct,
    inputs() {
      const logits = new Float32Array(rows * vocabulary).fill(99);
      logits.set(logitSets[name](vocabulary), (rows - 1) * vocabulary);
      return { logits, partials: new Uint32Array(greedyPartialWords(vocabulary)).fill(77) };
    },
    expected({ logits }) {
      const row = (logits as Float32Array<ArrayBuffer>).subarray((rows - 1) * vocabulary);
      const slices = greedyPartialWords(vocabulary) / 2;
      const partials = new Uint32Array(2 * slices);
      for (let i = 0; i < slices; i++) {
        const { key, at } = bestOf(row, i * slice, Math.min((i + 1) * slice, vocabulary));
        partials[i] = key;
        partials[slices + i] = at;
      }
      return { partials: { elements: partials } };
    },
  };
}

function finishCase(name: keyof typeof logitSets, vocabulary: number): KernelCase<GreedyFinishParams> {
  const [count, position, sampled] = [3, 9, 5];
  return {
    name: `${name}, ${vocabulary}`,
    params: { vocabulary, sampled },
    on: isDistinct,
    inputs() {
      const logits = logitSets[name](vocabulary);
      const slices = greedyPartialWords(vocabulary) / 2;
      const parts = Array.from({ length: slices }, (_, i) =>
        bestOf(logits, i * slice, Math.min((i + 1) * slice, vocabulary)),
      );
      return {
        partials: Uint32Array.from([...parts.map(({ key }) => key), ...parts.map(({ at }) => at)]),
        position: Uint32Array.of(count, position, 0, 0),
        tokens: Uint32Array.of(1, 2, 3, 4),
        sampled: new Uint32Array(sampled).fill(42),
      };
    },
    expected() {
      const { key, at } = bestOf(logitSets[name](vocabulary), 0, vocabulary);
      const isNone = key <= keyOf(minus);
      const ring = new Uint32Array(sampled).fill(42);
      ring[(position + count - 1) % sampled] = isNone ? 0xffffffff : at;
      return {
        position: { elements: Uint32Array.of(1, position + count, 0, 0) },
        tokens: { elements: Uint32Array.of(isNone ? 0 : at, 2, 3, 4) },
        sampled: { elements: ring },
      };
    },
  };
}

const names = Object.keys(logitSets) as (keyof typeof logitSets)[];
const large = 128256;

export const greedyPartialCases = defineCases({
  kernel: greedyPartial,
  cases: [
    ...names.map((name) => partialCase(name, 67, 3)),
    partialCase("ties, a NaN", 10001, 1),
    partialCase("one that is ∞", 10001, 2),
    partialCase("negative", 2048, 1),
  ],
  benches: [
    {
      name: `${large}`,
      params: { vocabulary: large, row: addDims(symbol("S", 4096, 1), -1) },
      symbols: { S: 1 },
      sizes: { logits: large * 4, partials: greedyPartialWords(large) * 4 },
      bytes: large * 4,
      operations: 0,
    },
  ],
});

export const greedyFinishCases = defineCases({
  kernel: greedyFinish,
  cases: [...names.map((name) => finishCase(name, 67)), finishCase("ties, a NaN", 40961)],
  benches: [
    {
      name: `${large}`,
      params: { vocabulary: large, sampled: 4096 },
      sizes: { partials: greedyPartialWords(large) * 4, position: 16, tokens: 16, sampled: 16384 },
      bytes: greedyPartialWords(large) * 4,
      operations: 0,
    },
  ],
});
