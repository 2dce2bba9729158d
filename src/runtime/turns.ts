import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";

/** Lets one piece of work run at a time, in the order in which they are asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  /**
   * Runs `work` when all that was asked for before is done. A signal ends the wait at once; work that has begun
   * goes on, and the next waits for it. What is asked for before `close` still runs, so that a function may return
   * the promise of a session that it disposes of.
   * @throws BitnetcError `session-disposed` after `close`
   */
  async take<T>(work: () => Promise<T> | T, signal?: AbortSignal): Promise<T> {
    this.check();
    const result = this.#last.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    this.#last = result.catch(() => {});
    return signal === undefined ? result : unlessAborted(result, signal);
  }

  /** Refuses all work from now on; `end` runs when what was asked for is done. */
  close(end: () => Promise<void>): Promise<void> {
    this.#closed ??= this.#last.then(end);
    return this.#closed;
  }

  /** For work that lasts. @throws BitnetcError `session-disposed` after `close` */
  check(): void {
    if (this.#closed !== undefined) throw new BitnetcError(diagnostics.sessionDisposed());
  }
}

function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
