import { BitnetcError, diagnostics } from "../errors.ts";
import { maxOf, minOf } from "../tensor/dim.ts";
import { type Tensor, type TensorData, tensor } from "../tensor/tensor.ts";
import type { Executor } from "./executor.ts";
import type { ProgramGraph } from "./graph.ts";

/** What a program must look like to continue a sequence of tokens. */
interface LanguageModelSignature {
  readonly tokens: string;
  /** Absent when the program has no cache: every call then takes the whole sequence. */
  readonly startPos: string | undefined;
  readonly logits: string;
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
    everyPosition: logitsShape.length === 3,
    vocabSize,
    callSize: { min: Math.max(1, minOf(sequence)), max: maxOf(sequence) },
  };
}

/** Feeds token sequences to a program and keeps count of what its cache holds. */
export class LanguageModel {
  readonly #executor: Executor;
  readonly #signature: LanguageModelSignature;
  /** The tokens whose keys and values the cache holds, from position 0. */
  #held: number[] = [];
  #queue: Promise<unknown> = Promise.resolve();
  /** Positions that fit. */
  readonly capacity: number;

  constructor(executor: Executor, signature: LanguageModelSignature, capacity: number) {
    this.#executor = executor;
    this.#signature = signature;
    this.capacity = Math.min(capacity, signature.startPos === undefined ? signature.callSize.max : capacity);
  }

  get length(): number {
    return this.#held.length;
  }

  /** Forgets all but the first `length` tokens. Later tokens overwrite their keys and values. */
  truncate(length: number): void {
    if (length < this.#held.length) this.#held.length = Math.max(0, length);
  }

  /**
   * Takes note of tokens that `work` feeds from position `start` on by other means than this object.
   * @throws BitnetcError `cache-gap` when there is nothing before `start`
   */
  feed<T>(start: number, ids: readonly number[], work: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      if (start > this.#held.length) throw new BitnetcError(diagnostics.cacheGap(start, this.#held.length));
      this.truncate(start);
      const result = await work();
      this.#held.push(...ids);
      return result;
    });
  }

  /**
   * Logits [V] for the token that follows `ids`. Computes only what the cache does not hold.
   * @throws BitnetcError when there are no ids, too many, or one that the vocabulary lacks
   */
  async next(ids: readonly number[], signal?: AbortSignal): Promise<TensorData> {
    this.#check(ids);
    const rows = await this.#rows(ids, ids.length - 1, ids.length, signal);
    return rows[0]!;
  }

  /** Logits [V] after each of `ids`, from an empty cache. Few calls where the program gives every position. */
  async *each(ids: readonly number[], signal?: AbortSignal): AsyncGenerator<TensorData, void> {
    this.#check(ids);
    this.truncate(0);
    const { everyPosition, startPos } = this.#signature;
    const together = startPos === undefined ? ids.length : chunkSize;
    const step = everyPosition ? together : 1;
    for (let from = 0; from < ids.length; from += step) {
      yield* await this.#rows(ids, from, Math.min(from + step, ids.length), signal);
    }
  }

  /** Logits after each of `ids[from] … ids[to - 1]`; a program that gives the last position only needs from = to - 1. */
  #rows(ids: readonly number[], from: number, to: number, signal?: AbortSignal) {
    return this.#inTurn(async () => {
      const { startPos, everyPosition, vocabSize, callSize } = this.#signature;
      const caches = startPos !== undefined;
      const chunk = caches ? Math.min(chunkSize, callSize.max) : to;
      const rows: TensorData[] = [];
      let start = caches ? this.#reusable(ids, from) : 0;
      while (start < to) {
        signal?.throwIfAborted();
        const end = Math.min(start + chunk, to);
        const { data } = await this.#call(ids.slice(start, end), start);
        const first = everyPosition ? start : end - 1;
        for (let p = Math.max(first, from); p < end; p++) {
          rows.push(data.subarray((p - first) * vocabSize, (p - first + 1) * vocabSize));
        }
        start = end;
      }
      return rows;
    });
  }

  /** @throws BitnetcError `token-id` naming ids that the vocabulary lacks */
  checkIds(ids: readonly number[]): void {
    const { vocabSize } = this.#signature;
    const wrong = ids.filter((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong.length > 0) throw new BitnetcError(diagnostics.tokenId([...new Set(wrong)], vocabSize));
  }

  async #call(ids: readonly number[], start: number): Promise<Tensor> {
    const { tokens, startPos, logits, callSize } = this.#signature;
    if (ids.length < callSize.min || ids.length > callSize.max) {
      throw new BitnetcError(diagnostics.callSize(ids.length, callSize.min, callSize.max));
    }
    this.truncate(start);
    const outputs = await this.#executor.run({
      [tokens]: tensor("i64", [1, ids.length], ids),
      ...(startPos === undefined ? {} : { [startPos]: tensor("i64", [1], [start]) }),
    });
    if (startPos !== undefined) this.#held.push(...ids);
    const result = outputs[logits];
    if (result === undefined) throw new Error(`the executor gave no output ${logits}`);
    return result;
  }

  /** How many of the first ids, up to `most`, the cache holds. */
  #reusable(ids: readonly number[], most: number): number {
    let same = 0;
    while (same < most && ids[same] === this.#held[same]) same++;
    return same;
  }

  #check(ids: readonly number[]): void {
    if (ids.length === 0) throw new BitnetcError(diagnostics.promptEmpty());
    if (ids.length > this.capacity)
      throw new BitnetcError(diagnostics.promptTooLong(ids.length, this.capacity));
    this.checkIds(ids);
  }

  /** The program's state is one: calls wait for each other. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

/** Tokens that are run in one call: it bounds the memory of activations and logits, and lets a signal through. */
const chunkSize = 128;
