import type { OpenProgress } from "bitnetc/runtime";
import { ProblemError, workerStopped } from "./problem.ts";
import type {
  Device,
  FromSession,
  OpenedProgram,
  Request,
  Sampling,
  ToSession,
  WrittenToken,
} from "./session-messages.ts";

type Ending = Extract<FromSession, { type: "finished" }>["why"];

export interface OpenRequest {
  /** A file, or the address of one. */
  readonly program: Blob | string;
  readonly device: Device;
  readonly onProgress: (progress: OpenProgress) => void;
  /** Aborting ends the worker, and with it whatever it was doing. */
  readonly signal: AbortSignal;
}

/** A program that is open in a worker. One thing runs at a time. */
export class SessionClient {
  readonly program: OpenedProgram;
  readonly #worker: Worker;

  private constructor(worker: Worker, program: OpenedProgram) {
    this.#worker = worker;
    this.program = program;
  }

  /** @throws ProblemError, or the signal's reason */
  static async open({ program, device, onProgress, signal }: OpenRequest): Promise<SessionClient> {
    const worker = new Worker(new URL("session.worker.js", import.meta.url), { type: "module" });
    try {
      const opened = await answer(
        worker,
        { type: "open", program, device },
        (message) => {
          if (message.type === "progress") onProgress(message);
          return message.type === "opened" ? message : undefined;
        },
        signal,
      );
      return new SessionClient(worker, opened);
    } catch (error) {
      worker.terminate();
      throw error;
    }
  }

  /** @throws ProblemError */
  generate(request: Request, sampling: Sampling, onToken: (token: WrittenToken) => void): Promise<Ending> {
    return answer(this.#worker, { type: "generate", request, sampling }, (message) => {
      if (message.type === "token") onToken(message);
      return message.type === "finished" ? message.why : undefined;
    });
  }

  /** Ends what is being written; `generate` then settles. */
  stop(): void {
    this.#worker.postMessage({ type: "stop" } satisfies ToSession);
  }

  /** Forgets everything that was said. */
  reset(): void {
    this.#worker.postMessage({ type: "reset" } satisfies ToSession);
  }

  close(): void {
    this.#worker.terminate();
  }
}

/** Sends a message and listens until `read` gives what was waited for. */
function answer<T>(
  worker: Worker,
  message: ToSession,
  read: (message: FromSession) => T | undefined,
  signal?: AbortSignal,
): Promise<T> {
  const listening = new AbortController();
  return new Promise<T>((resolve, reject) => {
    worker.addEventListener(
      "message",
      ({ data }: MessageEvent<FromSession>) => {
        if (data.type === "failed") return reject(new ProblemError(data.problem));
        const result = read(data);
        if (result !== undefined) resolve(result);
      },
      { signal: listening.signal },
    );
    worker.addEventListener("error", ({ message }) => reject(workerStopped("runs the program", message)), {
      signal: listening.signal,
    });
    signal?.addEventListener("abort", () => reject(signal.reason), { signal: listening.signal });
    worker.postMessage(message);
  }).finally(() => listening.abort());
}
