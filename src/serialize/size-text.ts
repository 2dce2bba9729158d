import {
  type Dim,
  dimKey,
  isSymbolic,
  parseDim,
  substituteDim,
  symbol,
  symbolBounds,
} from "../tensor/dim.ts";

/** A symbol as the delegate's table lists it. */
interface SizeSymbol {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

/**
 * Collects sizes as texts over numbered symbols (`2*s0 + 1`), each text and each symbol once. Numbers instead of
 * names, because a model may give its symbols any name.
 */
export class SizeTexts {
  readonly symbols: SizeSymbol[] = [];
  readonly texts: string[] = [];
  readonly #symbolIds = new Map<string, number>();
  readonly #textIds = new Map<string, number>();

  /** The index of a size's text. */
  index(size: Dim): number {
    const text = this.#text(size);
    return indexIn(this.#textIds, text, () => this.texts.push(text) - 1);
  }

  #text(size: Dim): string {
    const numbered = new Map<string, Dim>();
    for (const [name, { min, max }] of isSymbolic(size) ? symbolBounds(size) : []) {
      const id = indexIn(
        this.#symbolIds,
        JSON.stringify([name, min, max]),
        () => this.symbols.push({ name, min, max }) - 1,
      );
      numbered.set(name, symbol(symbolText(id), max, min));
    }
    const text = dimKey(substituteDim(size, numbered));
    const back = parseSize(text, this.symbols);
    if (back === undefined || dimKey(back) !== dimKey(size))
      throw new Error(`the size ${dimKey(size)} cannot be written`);
    return text;
  }
}

function indexIn(ids: Map<string, number>, key: string, add: () => number): number {
  const id = ids.get(key) ?? add();
  ids.set(key, id);
  return id;
}

const symbolText = (id: number): string => `s${id}`;

/** Longer than any size of a real model; the time to parse grows faster than the text. */
const longestText = 4096;

/**
 * @returns undefined for a text that is no expression over the symbols
 * @throws RangeError for one that has too many terms or is nested too deeply
 */
export function parseSize(text: string, symbols: readonly SizeSymbol[]): Dim | undefined {
  if (text.length > longestText) return undefined;
  const size = parseDim(text, (name) => {
    const id = Number(name.slice(1));
    const found = symbols[id];
    if (found === undefined || name !== symbolText(id)) throw new SyntaxError(name);
    return symbol(found.name, found.max, found.min);
  });
  return typeof size !== "number" || Number.isInteger(size) ? size : undefined;
}
