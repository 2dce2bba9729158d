import type { Tensor } from "../tensor/tensor.ts";

/** Runs a program's graph on one device. The program's states live in it from call to call. */
export interface Executor {
  readonly device: string;
  /**
   * Inputs and outputs by the names that the graph gives them.
   * @throws BitnetcError `program-input` with everything that is wrong with the inputs
   */
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /** Sets every state to zero. */
  reset(): void;
  /** Frees what the executor holds. It cannot be used afterwards. */
  dispose(): void;
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
