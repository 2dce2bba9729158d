import { element } from "./element.ts";
import type { FromSession, Request, WrittenToken } from "./session-messages.ts";

type Ending = Extract<FromSession, { type: "finished" }>["why"];

const endings: Readonly<Record<Ending, string>> = {
  stop: "The model ended the text.",
  length: "",
  capacity: "The context is full.",
  stopped: "Stopped.",
};

/** What was given and what was written. */
export class TranscriptView {
  readonly root: HTMLElement;
  readonly #turns = element("div", { class: "turns" });
  readonly #kind: Request["kind"];

  constructor(kind: Request["kind"], ...emptyTexts: readonly string[]) {
    this.#kind = kind;
    this.root = element(
      "div",
      { class: `transcript ${kind}`, role: "log", "aria-label": "Text", tabindex: 0 },
      this.#turns,
      element("div", { class: "empty" }, ...emptyTexts.map((text) => element("p", {}, text))),
    );
  }

  /** Shows what is given; the turn takes what is written. */
  begin(given: string): Turn {
    const turn = new Turn(
      this.#kind,
      given,
      () => this.#isAtEnd(),
      () => this.#toEnd(),
    );
    this.#turns.append(turn.root);
    this.#toEnd();
    return turn;
  }

  clear(): void {
    this.#turns.replaceChildren();
  }

  #isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.root;
    return scrollHeight - scrollTop - clientHeight < 48;
  }

  #toEnd(): void {
    this.root.scrollTop = this.root.scrollHeight;
  }
}

/** One request and its answer. What arrives within one frame is drawn together. */
export class Turn {
  readonly root: HTMLElement;
  readonly #ids: boolean;
  readonly #written = document.createTextNode("");
  readonly #answer: HTMLElement;
  readonly #isAtEnd: () => boolean;
  readonly #toEnd: () => void;
  #pending = "";
  #frame = 0;

  constructor(kind: Request["kind"], given: string, isAtEnd: () => boolean, toEnd: () => void) {
    this.#ids = kind === "ids";
    this.#isAtEnd = isAtEnd;
    this.#toEnd = toEnd;
    this.#answer = element("span", { class: "written", "aria-busy": "true" }, this.#written);
    this.root = element("div", { class: "turn" }, element("span", { class: "given" }, given), this.#answer);
  }

  get text(): string {
    return this.#written.data + this.#pending;
  }

  add({ id, text }: WrittenToken): void {
    this.#pending += this.#ids ? `${this.text === "" ? "" : " "}${id}` : text;
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  end(why: Ending): void {
    this.#draw();
    this.#answer.removeAttribute("aria-busy");
    if (endings[why] !== "") this.root.append(element("span", { class: "ending" }, endings[why]));
    this.#toEnd();
  }

  #draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const follows = this.#isAtEnd();
    this.#written.appendData(this.#pending);
    this.#pending = "";
    if (follows) this.#toEnd();
  }
}
