import { subtractDims, symbol } from "../../../../tensor/dim.ts";
import { randomFloats } from "../../case-data.ts";
import { defineCases, type Elements, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { isDistinct } from "../operand-data.ts";
import {
  type CandidatesFinishParams,
  type CandidatesPartialParams,
  candidatePartialWords,
  candidatesFinish,
  candidatesPartial,
} from "./kernel.ts";

interface Entry {
  readonly id: number;
  readonly logit: number;
}

const byRank = (a: Entry, b: Entry): number =>
  Number(b.logit > a.logit) - Number(b.logit < a.logit) || a.id - b.id;

const entriesOf = (logits: Elements): Entry[] =>
  Array.from(logits, (logit, id) => ({ id, logit })).filter(({ logit }) => !Number.isNaN(logit));

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;

/** A f32's place in the order of all of them. */
const keyOf = (value: number): number =>
  value < 0 ? ~bitsOf(value) >>> 0 : (bitsOf(value + 0) | 0x80000000) >>> 0;

const logitSets = {
  random: (count: number) => randomFloats(1, count, 8),
  "many ties": (count: number) => randomFloats(2, count, 3).map((x) => Math.round(x) + 0),
  "NaN and -∞": (count: number) =>
    randomFloats(3, count).map((x, i) =>
      i % 3 === 0 ? Number.NaN : i % 3 === 1 ? Number.NEGATIVE_INFINITY : x,
    ),
} as const;
type LogitSet = keyof typeof logitSets;

/** One workgroup only, so that what it finds is known but for its order, which two slots cannot tell. */
function partialCase(set: LogitSet, vocabulary: number, rows: number): KernelCase<CandidatesPartialParams> {
  return {
    name: `the largest of ${vocabulary}, ${set}, row ${rows - 1}`,
    params: { vocabulary, count: 1, row: subtractDims(symbol("S", 4096, 1), 1) },
    symbols: { S: rows },
    on: isDistinct,
    inputs() {
      const logits = new Float32Array(rows * vocabulary).fill(99);
      logits.set(logitSets[set](vocabulary), (rows - 1) * vocabulary);
      return { logits, partials: new Uint32Array(candidatePartialWords({ vocabulary, count: 1 })).fill(7) };
    },
    expected() {
      const entries = entriesOf(logitSets[set](vocabulary));
      const slices = candidatePartialWords({ vocabulary, count: 1 }) / 2;
      const best = Array.from(
        { length: slices },
        (_, i) => entries.filter(({ id }) => Math.floor(id / 2048) === i).sort(byRank)[0]!,
      );
      const words = [...best.map(({ logit }) => keyOf(logit)), ...best.map(({ id }) => id)];
      return { partials: { elements: Uint32Array.from(words) } };
    },
  };
}

/** The partials of a vocabulary, each slice's in ascending order of ids. */
function finishCase(set: LogitSet, vocabulary: number, count: number): KernelCase<CandidatesFinishParams> {
  return {
    name: `the ${count} likeliest of ${vocabulary}, ${set}`,
    params: { vocabulary, count },
    on: isDistinct,
    inputs() {
      const words = candidatePartialWords({ vocabulary, count }) / 2;
      const partials = new Uint32Array(2 * words);
      partials.fill(0xffffffff, words);
      const entries = entriesOf(logitSets[set](vocabulary));
      for (let slice = 0; slice * count < words; slice++)
        entries
          .filter(({ id }) => Math.floor(id / 2048) === slice)
          .sort(byRank)
          .slice(0, count)
          .sort((a, b) => a.id - b.id)
          .forEach(({ id, logit }, i) => {
            partials[slice * count + i] = keyOf(logit);
            partials[words + slice * count + i] = id;
          });
      return { partials, candidates: new Uint32Array(2 * count).fill(7) };
    },
    expected() {
      const best = entriesOf(logitSets[set](vocabulary)).sort(byRank).slice(0, count);
      const candidates = new Uint32Array(2 * count);
      for (let i = 0; i < count; i++) {
        candidates[i] = best[i]?.id ?? 0xffffffff;
        candidates[count + i] = bitsOf(best[i]?.logit ?? Number.NEGATIVE_INFINITY);
      }
      return { candidates: { elements: candidates } };
    },
  };
}

const large = { vocabulary: 128256, count: 64 };
const partialBytes = candidatePartialWords(large) * 4;

const partialBench: KernelBench<CandidatesPartialParams> = {
  name: "64 of 128256",
  params: { ...large, row: 0 },
  sizes: { logits: large.vocabulary * 4, partials: partialBytes },
  bytes: large.vocabulary * 4 + partialBytes,
  operations: 0,
};

export const candidatesPartialCases = defineCases({
  kernel: candidatesPartial,
  cases: [
    partialCase("random", 67, 3),
    partialCase("many ties", 5001, 1),
    partialCase("NaN and -∞", 5001, 2),
  ],
  benches: [partialBench],
});

export const candidatesFinishCases = defineCases({
  kernel: candidatesFinish,
  cases: [
    finishCase("random", 5001, 64),
    finishCase("many ties", 5001, 64),
    finishCase("NaN and -∞", 5001, 64),
    finishCase("NaN and -∞", 33, 64),
    finishCase("many ties", 9, 5),
  ],
  benches: [
    {
      name: "64 of 128256",
      params: large,
      sizes: { partials: partialBytes, candidates: 512 },
      bytes: partialBytes,
      operations: 0,
    },
  ],
});
