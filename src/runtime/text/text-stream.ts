/**
 * Decodes token ids one at a time. What it has given out never changes, and it gives out no half of a
 * character: a token may end in the middle of a UTF-8 sequence, and a space in front of a token may depend
 * on the token before. So each new piece is the difference between two decodings of a short window of ids,
 * one with the newest ids and one without, and it is kept back while it may still change.
 */
export class TextStream {
  readonly #decode: (ids: readonly number[]) => string;
  readonly #unsettled: RegExp;
  /** Ids of the window; those before `#given` are there for context and have been given out. */
  #window: number[] = [];
  #given = 0;

  /** @param unsettled matches an end of the text that the next token may still change */
  constructor(decode: (ids: readonly number[]) => string, unsettled: RegExp = incompleteCharacter) {
    this.#decode = decode;
    this.#unsettled = unsettled;
  }

  /** The text that `id` completes; empty while a character is incomplete. */
  push(id: number): string {
    this.#window.push(id);
    const text = this.#decode(this.#window);
    const piece = this.#newIn(text);
    if (piece === "" || this.#unsettled.test(text)) return "";
    this.#window = this.#window.slice(this.#given);
    this.#given = this.#window.length;
    return piece;
  }

  /** The rest, at the end: bytes that never became a character come out as U+FFFD. */
  flush(): string {
    const piece = this.#newIn(this.#decode(this.#window));
    this.#window = [];
    this.#given = 0;
    return piece;
  }

  #newIn(text: string): string {
    return text.slice(this.#decode(this.#window.slice(0, this.#given)).length);
  }
}

/** An unfinished UTF-8 sequence decodes to the replacement character. */
export const incompleteCharacter = /\uFFFD$/;
