import type { LanguageModel } from "./language-model.ts";
import { createSampler, type SamplingOptions } from "./sampling.ts";
import type { TextStream } from "./text/text-stream.ts";

export interface GenerateOptions extends SamplingOptions {
  /** 128 by default. */
  readonly maxNewTokens?: number | undefined;
  /** Tokens that end the text beside those of the program. */
  readonly stopIds?: readonly number[] | undefined;
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
  const { maxNewTokens = 128, signal } = options;
  const sample = createSampler(options);
  const ids = [...prompt];
  for (let made = 1; made <= maxNewTokens; made++) {
    const id = sample(await model.next(ids, signal));
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
}
