import { type Dim, dimKey, evaluateDim, substituteDim, symbolBounds } from "../tensor/dim.ts";

/** Something that is known when a graph runs: a size that it calls by an expression. */
export interface SizeFact {
  readonly size: Dim;
  readonly actual: number;
}

/** Values of the symbols of a graph in one run. */
export type Sizes = Map<string, number>;

/**
 * Finds the values of symbols from sizes, and adds them to `known`. A size gives a symbol away when it is linear in it
 * and in nothing else that is unknown.
 * @returns for each fact that contradicts another or the bounds of a symbol, what was to be expected
 */
export function solveSizes<F extends SizeFact>(
  facts: readonly F[],
  known: Sizes,
): { fact: F; expected: string }[] {
  const wrong: { fact: F; expected: string }[] = [];
  let open = facts;
  for (;;) {
    const deferred: F[] = [];
    for (const fact of open) {
      const rest = substituteDim(fact.size, known);
      if (typeof rest === "number") {
        if (rest !== fact.actual) wrong.push({ fact, expected: describe(fact.size, rest) });
        continue;
      }
      const [term, other] = rest.terms;
      const [atom, factor] = term!.atoms;
      if (other !== undefined || factor !== undefined || atom!.kind !== "symbol") {
        deferred.push(fact);
        continue;
      }
      const value = (fact.actual - rest.constant) / term!.coefficient;
      const { min, max } = symbolBounds(rest).get(atom!.key)!;
      if (Number.isInteger(value) && value >= min && value <= max) known.set(atom!.key, value);
      else wrong.push({ fact, expected: `${dimKey(fact.size)} with ${atom!.key} from ${min} to ${max}` });
    }
    if (deferred.length === open.length) return wrong;
    open = deferred;
  }
}

const describe = (size: Dim, value: number): string =>
  typeof size === "number" ? String(value) : `${dimKey(size)} = ${value}`;

/** The numbers that sizes stand for. @throws RangeError naming a symbol that nothing has given a value */
export const evaluateSizes = (sizes: readonly Dim[], known: Sizes): number[] =>
  sizes.map((size) => evaluateDim(size, known));
