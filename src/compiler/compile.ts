import type { Input } from "../frontend/index.ts";
import type { OptionsInput } from "../options.ts";
import type { WrittenProgram } from "../serialize/program-writer.ts";
import type { Sink } from "../serialize/sink.ts";
import { emit } from "./emit.ts";
import { load, lower } from "./lower.ts";
import type { CompileReport } from "./report.ts";

export interface CompileResult extends WrittenProgram {
  readonly report: CompileReport;
}

/**
 * Compiles a model to a program file.
 * @throws BitnetcError listing everything that is wrong with the model or not supported
 */
export async function compile(input: Input, sink: Sink, options: OptionsInput = {}): Promise<CompileResult> {
  const lowered = await lower(await load(input, options), "planned");
  const written = await emit(lowered, sink);
  return { ...written, report: lowered.report };
}
