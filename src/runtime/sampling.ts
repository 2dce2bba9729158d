import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../errors.ts";
import { Pcg32 } from "./random.ts";

export interface SamplingOptions {
  /** Logits are divided by it. 0, the default, always takes the likeliest token. */
  readonly temperature?: number | undefined;
  /** Only the K likeliest tokens; 0, the default, is all of them. */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens that together reach this probability, (0, 1]; 1 by default. */
  readonly topP?: number | undefined;
  /** Equal seeds choose equal tokens from equal logits. A random one by default. */
  readonly seed?: number | undefined;
}

/**
 * Chooses a token from the logits of one position, or from those of the likeliest tokens only: `ids` are then
 * their tokens. The choice is the same as long as there are K of them.
 */
type Sampler = (logits: ArrayLike<number>, ids?: ArrayLike<number>) => number;

/**
 * Temperature first, then top-k, then top-p on what is left: the order in which transformers applies them.
 * @throws BitnetcError `sampling-option`, for everything that is out of range
 */
export function createSampler(options: SamplingOptions = {}): Sampler {
  const { temperature = 0, topK = 0, topP = 1, seed = randomSeed() } = options;
  const wrong: Diagnostic[] = [];
  const check = (ok: boolean, name: string, value: number, range: string) => {
    if (!ok) wrong.push(diagnostics.samplingOption(name, value, range));
  };
  check(temperature >= 0 && Number.isFinite(temperature), "temperature", temperature, "a number from 0 up");
  check(Number.isInteger(topK) && topK >= 0, "topK", topK, "a whole number from 0 up");
  check(topP > 0 && topP <= 1, "topP", topP, "a number above 0 and up to 1");
  check(Number.isSafeInteger(seed) && seed >= 0, "seed", seed, "a whole number from 0 up");
  if (wrong.length > 0) throw new BitnetcError(wrong);

  const random = new Pcg32(BigInt(seed));
  const choose = (logits: ArrayLike<number>): number => {
    if (temperature === 0) return likeliest(logits);
    const weights = softmaxWeights(logits, temperature, topK);
    if (topP < 1) keepLargest(weights, nucleusSize(weights, topP), 0);
    return draw(weights, random.uniform());
  };
  return (logits, ids) => {
    if (ids === undefined) return choose(logits);
    // in the order of their ids, in which equal ones are kept and weights are added up
    const order = Array.from(ids, (_, i) => i).sort((a, b) => ids[a]! - ids[b]!);
    return ids[order[choose(Float32Array.from(order, (i) => logits[i]!))]!]!;
  };
}

/** The index of the largest logit, the first of equal ones. */
function likeliest(logits: ArrayLike<number>): number {
  let best = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i]! > highest) {
      highest = logits[i]!;
      best = i;
    }
  }
  if (best < 0) throw new BitnetcError(diagnostics.logitsNotFinite());
  return best;
}

/** exp((x - max x) / temperature) of the `topK` largest: probabilities before they are divided by their sum. */
function softmaxWeights(logits: ArrayLike<number>, temperature: number, topK: number): Float64Array {
  const highest = logits[likeliest(logits)]!;
  if (highest === Number.POSITIVE_INFINITY) throw new BitnetcError(diagnostics.logitsNotFinite());
  const weights = Float64Array.from(logits, (x) => (Number.isNaN(x) ? Number.NEGATIVE_INFINITY : x));
  if (topK > 0 && topK < weights.length) keepLargest(weights, topK, Number.NEGATIVE_INFINITY);
  return weights.map((x) => Math.exp((x - highest) / temperature));
}

/** How many of the largest weights it takes to reach `share` of their sum. */
function nucleusSize(weights: Float64Array, share: number): number {
  const ascending = weights.slice().sort();
  const enough = share * ascending.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  let count = 0;
  while (count < ascending.length && (count === 0 || sum < enough)) {
    sum += ascending[ascending.length - 1 - count]!;
    count++;
  }
  return count;
}

/** Replaces all but the `count` largest values by `none`; of equal ones the first are kept. */
function keepLargest(values: Float64Array, count: number, none: number): void {
  const threshold = values.slice().sort()[values.length - count]!;
  let ties = count;
  for (const value of values) if (value > threshold) ties--;
  for (let i = 0; i < values.length; i++) {
    if (values[i]! < threshold || (values[i] === threshold && ties-- <= 0)) values[i] = none;
  }
}

/** The index at which the running sum of the weights passes `point` of their total. */
function draw(weights: Float64Array, point: number): number {
  let left = point * weights.reduce((sum, weight) => sum + weight, 0);
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    left -= weights[i]!;
    if (left < 0) return i;
  }
  return last;
}

const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!;
