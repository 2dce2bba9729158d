import { type Dim, isSymbolic, parseDim, symbol } from "../../tensor/dim.ts";
import type { OnnxValueInfo } from "./model.ts";

const isName = (text: string): boolean => /^[A-Za-z_][\w.]*$/.test(text);

/** Turns the sizes that a model declares for its inputs into symbolic sizes, one symbol for each name. */
export class InputShapes {
  readonly #byText = new Map<string, Dim>();
  readonly #names = new Set<string>();

  /**
   * @param inputs all inputs of the graph
   * @param known sizes of those inputs whose contents are given
   */
  constructor(inputs: readonly OnnxValueInfo[], known: ReadonlyMap<string, readonly number[]>) {
    for (const input of inputs) {
      declaredShape(input).forEach((text, i) => {
        if (typeof text !== "string" || !isName(text) || this.#byText.has(text)) return;
        this.#names.add(text);
        const size = known.get(input.name)?.[i];
        if (size !== undefined) this.#byText.set(text, size);
      });
    }
  }

  /** The input's sizes. Where nothing is known, a symbol is made up from the input's name. */
  of(input: OnnxValueInfo): readonly Dim[] {
    return declaredShape(input).map((text, i) => {
      if (typeof text === "number") return text;
      return (text === undefined ? undefined : this.#size(text)) ?? this.#newSymbol(`${input.name}_dim${i}`);
    });
  }

  /**
   * A text is read as an expression only if each name in it is the whole size of some input: otherwise its
   * value could not be told from the inputs, and the text is a name with odd characters. Nothing checks these
   * texts; `past_sequence_length + 1` in particular is what exporters of language models write for a mask
   * whatever the number of new tokens, so a sum with a number is a name too.
   */
  #size(text: string): Dim | undefined {
    const before = this.#byText.get(text);
    if (before !== undefined) return before;
    const size = isName(text) ? symbol(text) : (this.#expression(text) ?? this.#newSymbol(text));
    if (typeof size === "number" && size < 0) return undefined;
    this.#byText.set(text, size);
    return size;
  }

  #expression(text: string): Dim | undefined {
    let isDetermined = true;
    const size = parseDim(text, (name) => {
      isDetermined &&= this.#names.has(name);
      return this.#byText.get(name) ?? symbol(name);
    });
    const hasConstant = size !== undefined && isSymbolic(size) && size.constant !== 0;
    return isDetermined && !hasConstant ? size : undefined;
  }

  #newSymbol(text: string): Dim {
    const plain = text.replace(/[^\w.]/g, "_").replace(/^(?![A-Za-z_])/, "_");
    let name = plain;
    for (let i = 2; this.#names.has(name); i++) name = `${plain}_${i}`;
    this.#names.add(name);
    return symbol(name);
  }
}

const declaredShape = ({ type }: OnnxValueInfo): readonly (number | string | undefined)[] =>
  typeof type === "object" ? (type.shape ?? []) : [];
