import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { TensorData } from "../tensor/tensor.ts";

export const defaultWindow = 256;

export interface PerplexityOptions {
  /** Predictions per window, 256 by default. */
  readonly window?: number | undefined;
  /** All that fit by default. */
  readonly maxWindows?: number | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Perplexity {
  /** Mean of -ln p over the predicted tokens. */
  readonly nllPerToken: number;
  /** exp of it. */
  readonly perplexity: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

/**
 * Perplexity over consecutive windows of `window` predictions: window j feeds ids j·N … j·N+N-1 from an
 * empty cache and predicts ids j·N+1 … j·N+N. A window that the ids do not fill is left out.
 *
 * @param each gives the logits [V] after each of the ids it is given, from an empty cache
 * @throws BitnetcError `eval-too-short` when the ids do not fill one window
 */
export async function perplexityOf(
  each: (ids: readonly number[], signal?: AbortSignal) => AsyncIterable<TensorData>,
  ids: readonly number[],
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const { window = defaultWindow, maxWindows = Number.POSITIVE_INFINITY, onProgress, signal } = options;
  const windows = Math.min(Math.floor((ids.length - 1) / window), maxWindows);
  if (windows < 1) throw new BitnetcError(diagnostics.evalTooShort(ids.length, window));
  let nll = 0;
  for (let j = 0; j < windows; j++) {
    let position = j * window;
    for await (const logits of each(ids.slice(position, position + window), signal)) {
      nll += logSumExp(logits) - logits[ids[++position]!]!;
    }
    onProgress?.(j + 1, windows);
  }
  const tokens = windows * window;
  return { nllPerToken: nll / tokens, perplexity: Math.exp(nll / tokens), tokens };
}

/** ln Σ exp x, in f64, shifted by the largest x so that nothing overflows. */
function logSumExp(logits: TensorData): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i]! > highest) highest = logits[i]!;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - highest);
  return highest + Math.log(sum);
}
