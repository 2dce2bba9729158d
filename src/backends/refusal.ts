import type { Node } from "../ir/graph.ts";

/** A node that a backend does not run, and why. */
export interface Refusal {
  readonly op: string;
  /** Where in the model. */
  readonly source: string;
  /** A sentence. */
  readonly why: string;
}

/** Says why a node cannot be computed, as half a sentence. */
export type Refuse = (node: Node) => string | undefined;

/** The first fault that there is. */
export const firstOf =
  (...refusals: readonly Refuse[]): Refuse =>
  (node) => {
    for (const refuse of refusals) {
      const why = refuse(node);
      if (why !== undefined) return why;
    }
    return undefined;
  };
