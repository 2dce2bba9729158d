import type { Diagnostic } from "bitnetc/runtime";
import { element } from "./element.ts";

/** What is wrong, as plain data that workers can send. */
export type Problem = readonly Diagnostic[];

/** Thrown on this side of a worker for what went wrong on the other. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.map(({ code, message }) => `${code}: ${message}`).join("\n"));
    this.problem = problem;
  }
}

export const problemIn = (error: unknown): Problem =>
  error instanceof ProblemError ? error.problem : [unexpected(error)];

/** A fault that has no sentence of its own. */
export const unexpected = (error: unknown): Diagnostic => ({
  code: "unexpected",
  severity: "error",
  message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
});

/** A worker that ended, as its error event says it. */
export const workerStopped = (what: string, message: string): ProblemError =>
  new ProblemError([
    {
      code: "worker",
      severity: "error",
      message: `The worker that ${what} has stopped: ${message || "its script cannot be loaded"}.`,
    },
  ]);

/** Each fault with its code, sentence, place and hint. */
export function problemView(problem: Problem): HTMLElement {
  return element(
    "div",
    { class: "problem", role: "alert" },
    ...problem.map(({ code, severity, message, at, hint }) =>
      element(
        "div",
        { class: severity },
        element("p", { class: "sentence" }, message),
        ...(hint === undefined ? [] : [element("p", { class: "hint" }, hint)]),
        element(
          "p",
          { class: "origin" },
          element("code", {}, code),
          ...(at === undefined ? [] : [` · ${at}`]),
        ),
      ),
    ),
  );
}
