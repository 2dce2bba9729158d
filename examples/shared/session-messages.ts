import type { ChatMessage, FinishReason, GenerateOptions, OpenProgress, SessionInfo } from "bitnetc/runtime";
import type { Problem } from "./problem.ts";

export type Device = "auto" | "webgpu" | "cpu";

/** What to continue. `text` goes on from what was written before, `ids` and `messages` stand for themselves. */
export type Request =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ids"; readonly ids: readonly number[] }
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[] };

export type Sampling = Pick<GenerateOptions, "temperature" | "topK" | "topP" | "seed" | "maxNewTokens">;

export type ToSession =
  | { readonly type: "open"; readonly program: Blob | string; readonly device: Device }
  | { readonly type: "generate"; readonly request: Request; readonly sampling: Sampling }
  | { readonly type: "stop" }
  | { readonly type: "reset" };

export interface OpenedProgram {
  readonly info: SessionInfo;
  /** Where it runs. */
  readonly device: string;
}

export interface WrittenToken {
  readonly id: number;
  readonly text: string;
  /** Tokens of the prompt, all that were there before included. */
  readonly promptTokens: number;
  /** Positions of the context that are in use. */
  readonly used: number;
  /** Since the request, in milliseconds. */
  readonly after: number;
}

export type FromSession =
  | ({ readonly type: "progress" } & OpenProgress)
  | ({ readonly type: "opened" } & OpenedProgram)
  | ({ readonly type: "token" } & WrittenToken)
  | { readonly type: "finished"; readonly why: FinishReason | "stopped" }
  | { readonly type: "failed"; readonly problem: Problem };
