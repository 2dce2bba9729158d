/** A line of a listing: as it is shown, and as it is compared with the lines of another program. */
export interface ListedLine {
  /** With values by their indices: `aten::add.out(%0, %1, 1, %2)`. */
  readonly text: string;
  /** With what the values are in place of their indices, which any change before it shifts. */
  readonly key: string;
  /** Without what the values are. */
  readonly form: string;
  /** The indices in `text`, in order. */
  readonly refs: readonly number[];
  /** What is called; absent where nothing is. */
  readonly op?: string;
}

/** A graph, or a method's values and instructions. */
export interface Listing {
  /** Values that come from outside, in the order in which they come. */
  readonly inputs: readonly number[];
  readonly values: readonly ListedLine[];
  readonly calls: readonly ListedLine[];
}

/** Writes a line's forms together. `describe` says what a value is. */
export class LineWriter {
  readonly #describe: (value: number) => string;
  #text = "";
  #key = "";
  #form = "";
  readonly #refs: number[] = [];

  constructor(describe: (value: number) => string) {
    this.#describe = describe;
  }

  add(text: string): this {
    this.#text += text;
    this.#key += text;
    this.#form += text;
    return this;
  }

  /** What is shown only. */
  note(text: string): this {
    this.#text += text;
    return this;
  }

  value(index: number): this {
    this.#text += `%${index}`;
    this.#key += `<${this.#describe(index)}>`;
    this.#form += "%";
    this.#refs.push(index);
    return this;
  }

  /** Adds items with commas between them. */
  list<T>(items: readonly T[], add: (item: T) => void): this {
    items.forEach((item, i) => {
      if (i > 0) this.add(", ");
      add(item);
    });
    return this;
  }

  line(op?: string): ListedLine {
    const line = { text: this.#text, key: this.#key, form: this.#form, refs: this.#refs };
    return op === undefined ? line : { ...line, op };
  }
}

/** How many lines of a list are shown, unless all are asked for. */
const shownLines = 20;

/** A list's lines, or its first ones and how many more there are. */
export function cutLines(lines: readonly string[], showsAll: boolean, indent = "  "): string {
  // One more line takes no more room than saying that there is one.
  const shown = showsAll || lines.length <= shownLines + 1 ? lines : lines.slice(0, shownLines);
  const rest = lines.length - shown.length;
  const more = rest === 0 ? "" : `${indent}… ${rest} more (--verbose shows them)\n`;
  return `${shown.map((line) => `${indent}${printable(line)}\n`).join("")}${more}`;
}

/** A file's names may hold what a terminal takes for a command. */
export const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
