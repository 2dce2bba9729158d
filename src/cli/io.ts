import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic, formatDiagnostic, messageOf } from "../errors.ts";

/** The process's ends, as far as a command sees them. */
export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether someone watches stderr: progress is shown then. */
  readonly isTerminal: boolean;
}

/** A result for machines, as the only thing on stdout. */
export const printJson = (io: Io, value: unknown): void => io.out(`${JSON.stringify(value)}\n`);

export function printWarnings(io: Io, warnings: readonly Diagnostic[]): void {
  for (const warning of warnings) io.err(`${formatDiagnostic(warning)}\n`);
}

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

/**
 * Says what went wrong: on stderr as sentences, with --json on stdout as `{"errors": [...]}`.
 * @returns the exit code: 2 for the command line, 1 for everything else
 */
export function printError(
  io: Io,
  error: unknown,
  show: { readonly json: boolean; readonly verbose: boolean },
): number {
  const found = error instanceof BitnetcError ? error.diagnostics : [diagnostics.internal(messageOf(error))];
  if (show.json) printJson(io, { errors: found });
  else io.err(`${found.map(formatDiagnostic).join("\n")}\n`);
  if (show.verbose) io.err(`${traceOf(error)}\n`);
  return found.every(({ code }) => code === "usage") ? exitCodes.usage : exitCodes.failed;
}

/** The stack of an error and of those that caused it. */
function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const stack = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  const cause =
    error.cause === undefined ? "" : `\ncaused by: ${messageOf(error.cause)}\n${traceOf(error.cause)}`;
  return `${stack.join("\n")}${cause}`;
}
