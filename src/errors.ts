/**
 * An error is data: a code, a sentence, where it is, and what to do about it. Whatever is wrong with an input is
 * collected and reported at once. Every message of the product is in diagnostics.ts.
 */
export interface Diagnostic {
  readonly code: string;
  readonly severity: "error" | "warning";
  /** A sentence in plain words. */
  readonly message: string;
  /** A node, a tensor, a file, an option. */
  readonly at?: string;
  readonly hint?: string;
}

/** Thrown for what a user can mend: exit code 1, no stack trace. Programming errors are plain `Error`s. */
export class BitnetcError extends Error {
  readonly diagnostics: readonly Diagnostic[];
  constructor(diagnostics: Diagnostic | readonly Diagnostic[], options?: ErrorOptions) {
    const list = [diagnostics].flat() as readonly Diagnostic[];
    super(list.map(formatDiagnostic).join("\n"), options);
    this.name = "BitnetcError";
    this.diagnostics = list;
  }
  get code(): string {
    return this.diagnostics[0]?.code ?? "unknown";
  }
}

/** A diagnostic as text for people: severity, code and sentence, then its place and hint on lines of their own. */
export function formatDiagnostic({ code, severity, message, at, hint }: Diagnostic): string {
  return `${severity}[${code}]: ${message}${at ? `\n  at ${at}` : ""}${hint ? `\n  hint: ${hint}` : ""}`;
}

/** What an error that came from elsewhere says. */
export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
