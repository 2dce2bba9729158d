import { BitnetcError, type Diagnostic } from "../../errors.ts";

/** Places that one message lists; of the others it gives the number. */
const listed = 5;

/** What is wrong with a model: collected, and equal faults in several places told as one. */
export class Faults {
  readonly #groups = new Map<string, { readonly diagnostic: Diagnostic; readonly places: Set<string> }>();

  add(diagnostic: Diagnostic): void {
    const key = JSON.stringify([diagnostic.code, diagnostic.message, diagnostic.hint]);
    const group = this.#groups.get(key) ?? { diagnostic, places: new Set() };
    if (diagnostic.at !== undefined) group.places.add(diagnostic.at);
    this.#groups.set(key, group);
  }

  /** Takes a thrown error apart. @throws the error itself when it is not about the model */
  addThrown(error: unknown): void {
    if (!(error instanceof BitnetcError)) throw error;
    for (const diagnostic of error.diagnostics) this.add(diagnostic);
  }

  get diagnostics(): readonly Diagnostic[] {
    return [...this.#groups.values()].map(({ diagnostic, places }) => {
      if (places.size <= 1) return diagnostic;
      const more = places.size > listed ? ` and ${places.size - listed} more (${places.size} in all)` : "";
      return { ...diagnostic, at: `${[...places].slice(0, listed).join(", ")}${more}` };
    });
  }

  throwIfAny(): void {
    if (this.#groups.size > 0) throw new BitnetcError(this.diagnostics);
  }
}
