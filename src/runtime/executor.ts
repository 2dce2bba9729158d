import type { Tensor } from "../tensor/tensor.ts";
import type { ProfileEntry } from "./webgpu/profile.ts";

/** Runs a program's graph on one device. The program's states live in it from call to call. */
export interface Executor {
  /** Such as `cpu`, or `webgpu (nvidia hopper)`. */
  readonly device: string;
  /** Tells programs apart whose own SHA-256 does not cover what they hold; known when all of it is read. */
  readonly identity?: string;
  /** Tokens that one call may have at most, where that is fewer than the graph's own bound. */
  readonly maxCallSize?: number;
  /**
   * Inputs and outputs by the names that the graph gives them.
   * @param wanted the outputs that are needed, all by default; others may be left out
   * @throws BitnetcError `program-input` with everything that is wrong with the inputs
   */
  run(inputs: Readonly<Record<string, Tensor>>, wanted?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Chooses tokens where the logits are; absent where they are in this thread's memory anyway. */
  readonly sampling?: DeviceSampling | undefined;
  /** Dispatches that a call with one token and the choice of the next take; absent where there are none. */
  readonly dispatchesPerToken?: number | undefined;
  /**
   * Measures every dispatch from now on, or no longer. What is measured runs more slowly: one thing after another.
   * Absent where there are none.
   * @throws BitnetcError `no-timestamps` when the device cannot
   */
  profile?(on: boolean): void;
  /** What was measured since the last time, of calls that are done. */
  takeProfile?(): readonly ProfileEntry[];
  /** The first `length` rows [1, H, length, D] of a state [1, H, C, D], in the graph's type. */
  readState(name: string, length: number): Promise<Tensor>;
  /** Overwrites the first rows of a state. */
  writeState(name: string, rows: Tensor): Promise<void>;
  /** Sets every state to zero. */
  reset(): void;
  /** Frees what the executor holds. It cannot be used afterwards. */
  dispose(): void;
}

/** What a language model's caller needs of the logits, without reading all of them back. */
export interface DeviceSampling {
  /** As many as `candidates` can give. */
  readonly maxCandidates: number;
  /** Runs a call; the likeliest tokens after its last position, largest logit first, of equal ones the lower id first. */
  candidates(inputs: Readonly<Record<string, Tensor>>): Promise<Candidates>;
  /**
   * Runs a call, takes the likeliest token, runs a call with it alone, and so on, `limit` tokens at most; gives them as
   * they are read back, which is some at a time. The device may be ahead of the last token that was taken when the
   * caller stops: caches then hold rows beyond it, which later calls overwrite.
   */
  greedy(inputs: Readonly<Record<string, Tensor>>, limit: number): AsyncGenerator<number, void>;
}

export interface Candidates {
  readonly ids: Uint32Array;
  readonly logits: Float32Array;
}

/**
 * Lets timers and signals have a turn when `run` has kept the thread for some milliseconds: without it, a
 * signal that stops a generation would only be seen after the last token.
 */
export function takesTurns(
  run: (inputs: Readonly<Record<string, Tensor>>) => Record<string, Tensor>,
): Executor["run"] {
  const longestTurn = 20;
  let turnEnds = performance.now() + longestTurn;
  return async (inputs) => {
    if (performance.now() > turnEnds) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      turnEnds = performance.now() + longestTurn;
    }
    return run(inputs);
  };
}
