import { BitnetcError, type Diagnostic } from "../errors.ts";
import type { Input } from "../frontend/index.ts";
import type { OptionsInput } from "../options.ts";
import { phases } from "../passes/pass.ts";
import { type Lowered, load, lower } from "./lower.ts";
import type { CompileReport } from "./report.ts";

/** What became of a model, as far as it got. */
export interface Explanation {
  readonly report: CompileReport | undefined;
  /** What is wrong or not supported: all of it. */
  readonly errors: readonly Diagnostic[];
}

/** Lowers a model without writing anything, and tells what fused, what nearly did, and what is in the way. */
export async function explain(input: Input, options: OptionsInput = {}): Promise<Explanation> {
  let lowered: Lowered | undefined;
  try {
    lowered = await load(input, options);
    for (const phase of phases.slice(1)) lowered = await lower(lowered, phase);
    return { report: lowered.report, errors: [] };
  } catch (error) {
    if (!(error instanceof BitnetcError)) throw error;
    return { report: lowered?.compilation.reportOn(lowered.graph, lowered.phase), errors: error.diagnostics };
  }
}
