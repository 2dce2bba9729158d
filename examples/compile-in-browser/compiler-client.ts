import { ProblemError, workerStopped } from "../shared/problem.ts";
import type {
  Compiled,
  CompileRequest,
  FromCompiler,
  OptionSchema,
  ToCompiler,
} from "./compiler-messages.ts";

type Progress = Extract<FromCompiler, { type: "phase" | "written" }>;

/** The compiler in a worker. */
export class CompilerClient {
  readonly #worker = new Worker(new URL("compiler.worker.js", import.meta.url), { type: "module" });
  /** What the compiler can be told, by name. */
  readonly options: Promise<Readonly<Record<string, OptionSchema>>>;

  constructor() {
    this.options = this.#answer((message) => (message.type === "options" ? message.options : undefined));
  }

  /**
   * @param signal ends the worker, and with it whatever it was doing
   * @throws ProblemError, or the signal's reason
   */
  compile(
    request: CompileRequest,
    onProgress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Compiled> {
    const answer = this.#answer((message) => {
      if (message.type === "phase" || message.type === "written") onProgress(message);
      return message.type === "compiled" ? message : undefined;
    }, signal);
    this.#worker.postMessage({ type: "compile", ...request } satisfies ToCompiler);
    return answer;
  }

  #answer<T>(read: (message: FromCompiler) => T | undefined, stop?: AbortSignal): Promise<T> {
    const listening = new AbortController();
    const { signal } = listening;
    return new Promise<T>((resolve, reject) => {
      this.#worker.addEventListener(
        "message",
        ({ data }: MessageEvent<FromCompiler>) => {
          if (data.type === "failed") return reject(new ProblemError(data.problem));
          const result = read(data);
          if (result !== undefined) resolve(result);
        },
        { signal },
      );
      this.#worker.addEventListener("error", ({ message }) => reject(workerStopped("compiles", message)), {
        signal,
      });
      const onStop = () => {
        this.#worker.terminate();
        reject(stop?.reason);
      };
      stop?.addEventListener("abort", onStop, { signal });
    }).finally(() => listening.abort());
  }
}
