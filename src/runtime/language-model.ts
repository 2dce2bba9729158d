import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { maxOf, minOf } from "../tensor/dim.ts";
import { type Tensor, type TensorData, tensor } from "../tensor/tensor.ts";
import type { Candidates, Executor } from "./executor.ts";
import type { ProgramGraph } from "./graph.ts";
import type { Turns } from "./turns.ts";

/** What a program must look like to continue a sequence of tokens. */
interface LanguageModelSignature {
  readonly tokens: string;
  /** Absent when the program has no cache: every call then takes the whole sequence. */
  readonly startPos: string | undefined;
  readonly logits: string;
  /** Whether there are other outputs too. */
  readonly givesMore: boolean;
  /** Logits of every position of a call [1, S, V], not of the last one only [1, V]. */
  readonly everyPosition: boolean;
  readonly vocabSize: number;
  /** Tokens that one call takes. */
  readonly callSize: { readonly min: number; readonly max: number };
}

/**
 * `forward(tokens i64 [1, S], start_pos i64 [1]) → logits f32 [1, V] or [1, S, V]`, or without `start_pos`.
 * @returns undefined for a program of any other form
 */
export function languageModelSignature(graph: ProgramGraph): LanguageModelSignature | undefined {
  const tokens = graph.inputs.find(({ name }) => name === "tokens");
  const startPos = graph.inputs.find(({ name }) => name === "start_pos");
  const logits = graph.outputs.find(({ name }) => name === "logits") ?? graph.outputs[0];
  if (tokens === undefined || logits === undefined) return undefined;
  if (graph.inputs.length !== (startPos === undefined ? 1 : 2)) return undefined;
  const tokensShape = graph.values[tokens.value]?.shape ?? [];
  const logitsShape = graph.values[logits.value]?.shape ?? [];
  const vocabSize = logitsShape.at(-1);
  const sequence = tokensShape[1];
  if (tokensShape.length !== 2 || sequence === undefined || typeof vocabSize !== "number") return undefined;
  if (logitsShape.length !== 2 && logitsShape.length !== 3) return undefined;
  return {
    tokens: tokens.name,
    startPos: startPos?.name,
    logits: logits.name,
    givesMore: graph.outputs.length > 1,
    everyPosition: logitsShape.length === 3,
    vocabSize,
    callSize: { min: Math.max(1, minOf(sequence)), max: maxOf(sequence) },
  };
}

type Tensors = Readonly<Record<string, Tensor>>;

/** Feeds token sequences to a program and keeps count of what its cache holds. */
export class LanguageModel {
  readonly #executor: Executor;
  readonly #signature: LanguageModelSignature;
  readonly #turns: Turns;
  /** Tokens of one call. */
  readonly #callSize: { readonly min: number; readonly max: number };
  /** The tokens whose keys and values the cache holds, from position 0. */
  #held: number[] = [];
  /** How often `truncate` was called: what a call that is under way then leaves in the cache does not count. */
  #cuts = 0;
  /** The device as it chooses one token after the other: `#chosen` follows `#held`. */
  #ahead: AsyncGenerator<number, void> | undefined;
  #chosen: number | undefined;
  /** Positions that fit. */
  readonly capacity: number;

  constructor(executor: Executor, signature: LanguageModelSignature, capacity: number, turns: Turns) {
    this.#executor = executor;
    this.#signature = signature;
    this.#turns = turns;
    const { min, max } = signature.callSize;
    this.#callSize = { min, max: Math.min(max, executor.maxCallSize ?? max) };
    this.capacity = Math.min(capacity, signature.startPos === undefined ? this.#callSize.max : capacity);
  }

  get length(): number {
    return this.#held.length;
  }

  /** As many as `candidates` gives; 0 where the device gives none. */
  get maxCandidates(): number {
    return Math.min(this.#executor.sampling?.maxCandidates ?? 0, this.#signature.vocabSize);
  }

  /** Whether there is `likeliest`. */
  get worksAhead(): boolean {
    return this.#executor.sampling !== undefined && this.#signature.startPos !== undefined;
  }

  /** Forgets all but the first `length` tokens. Later tokens overwrite their keys and values. */
  truncate(length: number): void {
    this.#cuts++;
    this.#chosen = undefined;
    if (length < this.#held.length) this.#held.length = Math.max(0, length);
  }

  /**
   * Runs the program once, as far as the caller can see: on inputs that fit it.
   * @throws BitnetcError `cache-gap` when there is nothing before `start_pos`
   */
  run(inputs: Tensors): Promise<Record<string, Tensor>> {
    const { tokens, startPos, logits, givesMore, everyPosition } = this.#signature;
    const ids = Array.from(inputs[tokens]!.data);
    const start = startPos === undefined ? 0 : inputs[startPos]!.data[0]!;
    const size = this.#executor.maxCallSize;
    return this.atRest(async () => {
      if (start > this.length) throw new BitnetcError(diagnostics.cacheGap(start, this.length));
      if (size === undefined || ids.length <= size || startPos === undefined || givesMore)
        return this.#noting(ids, start, () => this.#executor.run(inputs));
      const parts: Tensor[] = [];
      for (let from = 0; from < ids.length; from += size) {
        const call = ids.slice(from, from + size);
        parts.push(await this.#feed(call, start + from, (given) => this.#logits(given)));
      }
      return { [logits]: everyPosition ? joined(parts) : parts.at(-1)! };
    });
  }

  /**
   * Logits [V] for the token that follows `ids`. Computes only what the cache does not hold.
   * @throws BitnetcError when there are no ids, too many, or one that the vocabulary lacks
   */
  async next(ids: readonly number[], signal?: AbortSignal): Promise<TensorData> {
    this.#check(ids);
    return (await this.#rows(ids, ids.length - 1, ids.length, signal))[0]!;
  }

  /** The `maxCandidates` likeliest tokens after `ids`. @throws BitnetcError as `next` does */
  async candidates(ids: readonly number[], signal?: AbortSignal): Promise<Candidates> {
    this.#check(ids);
    const choose = (inputs: Tensors) => this.#executor.sampling!.candidates(inputs);
    const last = await this.atRest(
      () => this.#calls(ids, ids.length - 1, ids.length, choose, signal),
      signal,
    );
    return last[0]!;
  }

  /**
   * The likeliest token after `ids`. The device goes on from there by itself, `limit` tokens in all: when they
   * are asked for, as what follows `ids` and them, they are there already. `atRest` ends it.
   * @throws BitnetcError as `next` does
   */
  likeliest(ids: readonly number[], limit: number, signal?: AbortSignal): Promise<number> {
    return this.#turns.take(async () => {
      const chosen = this.#chosen;
      const goesOn = chosen !== undefined && ids.length === this.length + 1 && ids.at(-1) === chosen;
      const cuts = this.#cuts;
      let result: IteratorResult<number, void>;
      if (goesOn && this.#reusable(ids, this.length) === this.length) {
        this.#chosen = undefined;
        result = await this.#noting([chosen], this.length, () => this.#ahead!.next());
      } else {
        this.#check(ids);
        await this.endAhead();
        const start = (inputs: Tensors) => {
          this.#ahead = this.#executor.sampling!.greedy(inputs, limit);
          return this.#ahead.next();
        };
        result = (await this.#calls(ids, ids.length - 1, ids.length, start, signal))[0]!;
      }
      if (result.done) throw new Error("the device chose fewer tokens than it was asked for");
      if (cuts === this.#cuts) this.#chosen = result.value;
      return result.value;
    }, signal);
  }

  /** Logits [V] after each of `ids`, all computed anew. Few calls where the program gives every position. */
  async *each(ids: readonly number[], signal?: AbortSignal): AsyncGenerator<TensorData, void> {
    this.#check(ids);
    const { everyPosition, startPos } = this.#signature;
    const step = everyPosition ? (startPos === undefined ? ids.length : this.#chunk) : 1;
    for (let from = 0; from < ids.length; from += step) {
      yield* await this.#rows(ids, from, Math.min(from + step, ids.length), signal);
    }
  }

  /** Work while nothing else is done, on the device either. It gets the tokens that the cache holds. */
  atRest<T>(work: (held: readonly number[]) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#turns.take(async () => {
      await this.endAhead();
      return work(this.#held);
    }, signal);
  }

  /** Stops the device that chooses tokens: part of a turn. */
  async endAhead(): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    this.#chosen = undefined;
    await ahead?.return();
  }

  /** `fill` puts the keys and values of `ids` in the cache. */
  restore(ids: readonly number[], fill: () => Promise<void>): Promise<void> {
    this.#check(ids, 0);
    return this.atRest(async () => {
      this.truncate(0);
      await this.#noting(ids, 0, fill);
    });
  }

  /** @throws BitnetcError `token-id` naming ids that the vocabulary lacks */
  checkIds(ids: readonly number[]): void {
    const { vocabSize } = this.#signature;
    const wrong = ids.filter((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong.length > 0) throw new BitnetcError(diagnostics.tokenId([...new Set(wrong)], vocabSize));
  }

  get #chunk(): number {
    return Math.min(this.#executor.maxCallSize ?? chunkSize, this.#callSize.max);
  }

  /** Logits after each of `ids[from] … ids[to - 1]`; a program that gives the last position only needs from = to - 1. */
  #rows(ids: readonly number[], from: number, to: number, signal?: AbortSignal): Promise<TensorData[]> {
    const { everyPosition, vocabSize } = this.#signature;
    const read = async (inputs: Tensors, start: number, end: number) => {
      const { data } = await this.#logits(inputs);
      const first = everyPosition ? start : end - 1;
      const rows: TensorData[] = [];
      for (let p = Math.max(first, from); p < end; p++)
        rows.push(data.subarray((p - first) * vocabSize, (p - first + 1) * vocabSize));
      return rows;
    };
    return this.atRest(async () => (await this.#calls(ids, from, to, read, signal)).flat(), signal);
  }

  /** Feeds what the cache lacks of the first `to` ids. `work` does the calls that reach beyond `from`. */
  async #calls<T>(
    ids: readonly number[],
    from: number,
    to: number,
    work: (inputs: Tensors, start: number, end: number) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T[]> {
    const caches = this.#signature.startPos !== undefined;
    const results: T[] = [];
    let start = caches ? this.#reusable(ids, from) : 0;
    while (start < to) {
      signal?.throwIfAborted();
      const [first, end] = [start, caches ? Math.min(start + this.#chunk, to) : to];
      const call = ids.slice(first, end);
      if (end <= from) await this.#feed(call, first, (inputs) => this.#executor.run(inputs, []));
      else results.push(await this.#feed(call, first, (inputs) => work(inputs, first, end)));
      start = end;
    }
    return results;
  }

  /** One call of the program, with `ids` from position `start` on. */
  #feed<T>(ids: readonly number[], start: number, work: (inputs: Tensors) => Promise<T>): Promise<T> {
    this.#turns.check();
    const { tokens, startPos } = this.#signature;
    const { min, max } = this.#callSize;
    if (ids.length < min || ids.length > max)
      throw new BitnetcError(diagnostics.callSize(ids.length, min, max));
    const inputs = {
      [tokens]: tensor("i64", [1, ids.length], ids),
      ...(startPos === undefined ? {} : { [startPos]: tensor("i64", [1], [start]) }),
    };
    return this.#noting(ids, start, () => work(inputs));
  }

  /** Takes note that the cache holds `ids` from position `start` on when `work` is done. */
  async #noting<T>(ids: readonly number[], start: number, work: () => Promise<T>): Promise<T> {
    if (start < this.length) this.#held.length = start;
    const cuts = this.#cuts;
    const result = await work();
    const counts = this.#signature.startPos !== undefined && cuts === this.#cuts && this.length === start;
    if (counts) for (const id of ids) this.#held.push(id);
    return result;
  }

  async #logits(inputs: Tensors): Promise<Tensor> {
    const name = this.#signature.logits;
    const { [name]: logits } = await this.#executor.run(inputs, [name]);
    if (logits === undefined) throw new Error(`the executor gave no output ${name}`);
    return logits;
  }

  /** How many of the first ids, up to `most`, the cache holds. */
  #reusable(ids: readonly number[], most: number): number {
    let same = 0;
    while (same < most && ids[same] === this.#held[same]) same++;
    return same;
  }

  #check(ids: readonly number[], fewest = 1): void {
    if (ids.length < fewest) throw new BitnetcError(diagnostics.promptEmpty());
    if (ids.length > this.capacity)
      throw new BitnetcError(diagnostics.promptTooLong(ids.length, this.capacity));
    this.checkIds(ids);
  }
}

/** Logits of consecutive calls [1, S, V] as those of one. */
function joined(parts: readonly Tensor[]): Tensor {
  const [{ dtype, shape }] = parts as [Tensor];
  const whole = tensor(dtype, [1, parts.reduce((sum, part) => sum + part.shape[1]!, 0), shape[2]!]);
  let at = 0;
  for (const { data } of parts) {
    whole.data.set(data, at);
    at += data.length;
  }
  return whole;
}

/** Tokens that are run in one call: it bounds the memory of activations and logits, and lets a signal through. */
const chunkSize = 128;
