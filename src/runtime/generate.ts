import type { LanguageModel } from "./language-model.ts";
import { createSampler, type SamplingOptions } from "./sampling.ts";
import type { TextStream } from "./text/text-stream.ts";

export interface GenerateOptions extends SamplingOptions {
  /** 128 by default. */
  readonly maxNewTokens?: number | undefined;
  /** Tokens that end the text beside those of the program. */
  readonly stopIds?: readonly number[] | undefined;
  /** Goes on after the program's tokens that end a text, to measure how fast tokens are made. */
  readonly ignoreEos?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Why no token follows: the model ended the text (`stop`), as many were made as were asked for (`length`),
 * or the program has no room for another position (`capacity`).
 */
export type FinishReason = "stop" | "length" | "capacity";

export interface GeneratedToken {
  readonly id: number;
  /**
   * Text that this token completes. Characters of several tokens come with the last of them; special
   * tokens, among them the one that ends the text, have none.
   */
  readonly text: string;
  /** Set on the last token. */
  readonly finish?: FinishReason;
}

/** Continues `prompt` token by token. Aborting throws the signal's reason. */
export async function* generateTokens(
  model: LanguageModel,
  prompt: readonly number[],
  stopIds: ReadonlySet<number>,
  stream: TextStream | undefined,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, void> {
  const { maxNewTokens = 128 } = options;
  const choose = chooser(model, options);
  const ids = [...prompt];
  try {
    for (let made = 1; made <= maxNewTokens; made++) {
      // the last token need not fit in the cache
      const id = await choose(ids, Math.min(maxNewTokens - made, model.capacity - ids.length) + 1);
      ids.push(id);
      const finish = stopIds.has(id)
        ? "stop"
        : made === maxNewTokens
          ? "length"
          : ids.length > model.capacity
            ? "capacity"
            : undefined;
      const text = stream === undefined ? "" : stream.push(id) + (finish === undefined ? "" : stream.flush());
      yield { id, text, ...(finish === undefined ? {} : { finish }) };
      if (finish !== undefined) return;
    }
  } finally {
    // The device need not work ahead any more. Nobody waits for it: what is asked for next does.
    if (model.worksAhead) model.atRest(async () => {}).catch(() => {});
  }
}

/** Chooses the token after `ids`; `limit` at most will be asked for. As little as possible is read of the logits. */
function chooser(
  model: LanguageModel,
  options: GenerateOptions,
): (ids: readonly number[], limit: number) => Promise<number> {
  const { temperature = 0, topK = 0, signal } = options;
  const sample = createSampler(options);
  if (temperature === 0 && model.worksAhead) return (ids, limit) => model.likeliest(ids, limit, signal);
  const count = temperature === 0 ? 1 : topK;
  if (count === 0 || count > model.maxCandidates) return async (ids) => sample(await model.next(ids, signal));
  return async (given) => {
    const { ids, logits } = await model.candidates(given, signal);
    return sample(logits.subarray(0, count), ids.subarray(0, count));
  };
}
