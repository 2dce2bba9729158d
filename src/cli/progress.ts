import type { Io } from "./io.ts";

/** A progress bar on a terminal's last line; nothing where no one watches. */
export class Progress {
  readonly #io: Io;
  readonly #isShown: boolean;
  #line = "";
  #drawnAt = 0;

  constructor(io: Io, options: { readonly quiet?: boolean } = {}) {
    this.#io = io;
    this.#isShown = io.isTerminal && options.quiet !== true;
  }

  /** @param done and total in any unit */
  show(label: string, done: number, total: number): void {
    const now = performance.now();
    if (!this.#isShown || (done < total && now - this.#drawnAt < redrawEvery)) return;
    this.#drawnAt = now;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const filled = Math.round(share * width);
    const percent = String(Math.round(share * 100)).padStart(3);
    this.#draw(`${"█".repeat(filled)}${"░".repeat(width - filled)} ${percent} %  ${label}`);
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#line !== "") this.#io.err(`\r${" ".repeat(this.#line.length)}\r`);
    this.#line = "";
  }

  #draw(line: string): void {
    if (line === this.#line) return;
    this.#io.err(`\r${line.padEnd(this.#line.length)}`);
    this.#line = line;
  }
}

const width = 24;
const redrawEvery = 80;
