import type { CompileReport, OptionsInput, Phase } from "bitnetc";
import type { GivenFile } from "../shared/drop.ts";
import type { Problem } from "../shared/problem.ts";

/** What an option can be, as a JSON Schema says it. */
export interface OptionSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

/** A model among the files that were given. */
export interface ModelChoice {
  /** A .onnx file, or a checkpoint's folder. */
  readonly kind: "onnx" | "checkpoint";
  /** Of the file, or of the folder, which may be empty. */
  readonly path: string;
}

export interface CompileRequest {
  readonly model: ModelChoice;
  readonly files: readonly GivenFile[];
  readonly options: OptionsInput;
}

export interface Compiled {
  /** The .pte file; it may lie on disk. */
  readonly program: Blob;
  readonly report: CompileReport;
  readonly milliseconds: number;
}

export type ToCompiler = { readonly type: "compile" } & CompileRequest;

export type FromCompiler =
  | { readonly type: "options"; readonly options: Readonly<Record<string, OptionSchema>> }
  /** The phase is done; `next` is what is being done now. */
  | { readonly type: "phase"; readonly phase: Phase; readonly next: Phase | "write" }
  /** @param total undefined where it is not known */
  | { readonly type: "written"; readonly bytes: number; readonly total: number }
  | ({ readonly type: "compiled" } & Compiled)
  | { readonly type: "failed"; readonly problem: Problem };
