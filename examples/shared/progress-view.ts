import type { OpenProgress } from "bitnetc/runtime";
import { element } from "./element.ts";
import { formatBytes } from "./format.ts";

/** A bar with a title, what has been done, and room for a button. */
export class ProgressView {
  readonly root: HTMLElement;
  readonly #bar = element("progress", { max: 1 });
  readonly #detail = element("span", { class: "detail" });

  constructor(title: string, cancel: HTMLButtonElement) {
    const heading = element("p", { class: "title" }, title);
    this.#bar.setAttribute("aria-label", title);
    this.root = element(
      "div",
      { class: "loading" },
      heading,
      this.#bar,
      element("div", { class: "row" }, this.#detail, cancel),
    );
  }

  /** @param total 0 where it is not known */
  bytes(verb: string, done: number, total: number): void {
    this.#show(
      total > 0 ? `${verb} ${formatBytes(done)} of ${formatBytes(total)}` : `${verb} ${formatBytes(done)}`,
      total > 0 ? done / total : undefined,
    );
  }

  opening({ phase, loaded, total }: OpenProgress): void {
    this.bytes(phase === "download" ? "Downloading" : "Loading weights:", loaded, total);
  }

  /** Work whose end is not known. */
  step(text: string): void {
    this.#show(text, undefined);
  }

  #show(text: string, share: number | undefined): void {
    this.#detail.textContent = text;
    if (share === undefined) this.#bar.removeAttribute("value");
    else this.#bar.value = Math.min(1, share);
  }
}
