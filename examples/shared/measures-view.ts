import { element } from "./element.ts";
import { formatCount, formatDuration } from "./format.ts";
import type { WrittenToken } from "./session-messages.ts";

/** Speed of the answer, and how much of the context is in use. */
export class MeasuresView {
  readonly root: HTMLElement;
  readonly #speed = element("strong", {}, "–");
  readonly #first = element("strong", {}, "–");
  readonly #count = element("strong", {}, "–");
  readonly #used = element("strong", {}, "0");
  readonly #filled = element("div", { class: "filled" });
  readonly #meter = element(
    "div",
    { class: "meter", role: "meter", "aria-label": "Context in use" },
    this.#filled,
  );
  readonly #positions: number | undefined;
  #tokens = 0;
  #firstAfter = 0;

  /** @param positions that the program has room for */
  constructor(positions: number | undefined) {
    this.#positions = positions;
    this.#meter.setAttribute("aria-valuemax", String(positions ?? 0));
    this.#meter.hidden = positions === undefined;
    const of = positions === undefined ? "" : ` of ${formatCount(positions)}`;
    this.root = element(
      "div",
      { class: "measures" },
      measure("tokens/s", this.#speed),
      measure("to the first", this.#first),
      measure("written", this.#count),
      element("div", { class: "context" }, element("span", {}, "context ", this.#used, of), this.#meter),
    );
    this.use(0);
  }

  begin(): void {
    this.#tokens = 0;
    for (const value of [this.#speed, this.#first, this.#count]) value.textContent = "–";
  }

  add({ after, used }: WrittenToken): void {
    this.#tokens++;
    if (this.#tokens === 1) {
      this.#firstAfter = after;
      this.#first.textContent = formatDuration(after);
    } else {
      // The first token pays for the prompt.
      const perSecond = ((this.#tokens - 1) * 1000) / (after - this.#firstAfter);
      this.#speed.textContent = perSecond.toFixed(perSecond < 100 ? 1 : 0);
    }
    this.#count.textContent = formatCount(this.#tokens);
    this.use(used);
  }

  /** @param tokens of the text so far; the last one takes no position when no token follows it */
  use(tokens: number): void {
    const used = Math.min(tokens, this.#positions ?? tokens);
    const share = used / (this.#positions ?? Number.POSITIVE_INFINITY);
    this.#used.textContent = formatCount(used);
    this.#meter.setAttribute("aria-valuenow", String(used));
    this.#filled.style.width = `${share * 100}%`;
    this.#meter.classList.toggle("nearly-full", share > 0.9);
  }
}

const measure = (label: string, value: HTMLElement): HTMLElement =>
  element("div", { class: "measure" }, value, element("span", {}, ` ${label}`));
