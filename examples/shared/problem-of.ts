import { BitnetcError } from "bitnetc/runtime";
import { type Problem, unexpected } from "./problem.ts";

/** What an error says, in a worker that runs bitnetc. */
export const problemOf = (error: unknown): Problem =>
  error instanceof BitnetcError ? error.diagnostics : [unexpected(error)];
