import type { SessionInfo } from "bitnetc/runtime";
import { button, element, fieldRow } from "./element.ts";
import type { Sampling } from "./session-messages.ts";

interface Field {
  readonly name: keyof Sampling;
  readonly label: string;
  readonly help: string;
  readonly min: number;
  readonly max?: number;
  readonly step: number | "any";
  readonly placeholder?: string;
}

const fields: readonly Field[] = [
  {
    name: "temperature",
    label: "Temperature",
    help: "0 takes the likeliest token",
    min: 0,
    max: 5,
    step: "any",
  },
  { name: "topK", label: "Top-k", help: "0 is all tokens", min: 0, step: 1 },
  { name: "topP", label: "Top-p", help: "1 is all tokens", min: 0.001, max: 1, step: "any" },
  {
    name: "seed",
    label: "Seed",
    help: "the same seed, the same text",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    step: 1,
    placeholder: "random",
  },
  { name: "maxNewTokens", label: "Most tokens", help: "of one answer", min: 1, step: 1 },
];

/** How tokens are chosen: what the model's authors recommend, until the reader changes it. */
export class SamplingView {
  readonly root: HTMLFormElement;
  readonly #inputs = new Map<keyof Sampling, HTMLInputElement>();

  constructor({ sampling }: SessionInfo) {
    const preset: Sampling = {
      temperature: sampling.temperature ?? 0,
      topK: sampling.topK ?? 0,
      topP: sampling.topP ?? 1,
      maxNewTokens: 256,
    };
    this.root = element("form", { class: "fields" });
    // Enter in a field must not load the page anew.
    this.root.addEventListener("submit", (event) => event.preventDefault());
    for (const field of fields) {
      const { name, label, help, min, max, step, placeholder } = field;
      const id = `sampling-${name}`;
      const input = element("input", { id, type: "number", min, max, step, placeholder });
      input.required = name !== "seed";
      this.#inputs.set(name, input);
      this.root.append(fieldRow(input, label, help));
    }
    const reset = button("Reset", "quiet");
    reset.addEventListener("click", () => this.#fill(preset));
    const hasAdvice = Object.keys(sampling).length > 0;
    const advice = hasAdvice
      ? "Filled in as the model's authors recommend."
      : "The model recommends nothing.";
    this.root.append(element("div", { class: "row" }, element("span", { class: "help" }, advice), reset));
    this.#fill(preset);
  }

  /** undefined where a field is not valid; the reader is then told. */
  read(): Sampling | undefined {
    if (!this.root.reportValidity()) return undefined;
    const given = [...this.#inputs].filter(([, { value }]) => value !== "");
    return Object.fromEntries(given.map(([name, { valueAsNumber }]) => [name, valueAsNumber]));
  }

  #fill(values: Sampling): void {
    for (const [name, input] of this.#inputs) input.value = String(values[name] ?? "");
  }
}
