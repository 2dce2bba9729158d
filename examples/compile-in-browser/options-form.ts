import type { OptionsInput } from "bitnetc";
import { element, fieldRow } from "../shared/element.ts";
import type { OptionSchema } from "./compiler-messages.ts";

/** What the fields are called; an option that is not here goes by its name. */
const texts: Readonly<Record<string, readonly [label: string, help: string]>> = {
  backend: ["Backend", "who runs the program"],
  weights: ["Ternary weights", "tq2_0: 2.06 bits each; tq1_0: 1.69 bits"],
  activations: ["Activations", "of BitNet linears"],
  embedding: ["Embedding and head", "auto keeps every value exactly"],
  maxSeqLen: ["Positions", "that the program has room for"],
  logits: ["Logits", "of the last position, or of all"],
};

/** A field for each option that leaves a choice. */
export class OptionsForm {
  readonly root = element("div", { class: "fields" });
  readonly #fields = new Map<string, HTMLInputElement | HTMLSelectElement>();

  constructor(options: Readonly<Record<string, OptionSchema>>) {
    for (const [name, schema] of Object.entries(options)) {
      if (schema.enum?.length === 1) continue;
      const field =
        schema.enum === undefined ? numberField(schema) : choiceField(schema.enum, schema.default);
      const [label, help] = texts[name] ?? [name, ""];
      field.id = `option-${name}`;
      this.#fields.set(name, field);
      this.root.append(fieldRow(field, label, help));
    }
  }

  /** The options that were chosen. They are valid: the form that holds the fields has checked them. */
  read(): OptionsInput {
    const given = [...this.#fields].filter(([, { value }]) => value !== "");
    return Object.fromEntries(
      given.map(([name, field]) => [
        name,
        field instanceof HTMLInputElement ? field.valueAsNumber : field.value,
      ]),
    );
  }
}

function numberField({ minimum, exclusiveMinimum, maximum }: OptionSchema): HTMLInputElement {
  const min = minimum ?? (exclusiveMinimum === undefined ? undefined : exclusiveMinimum + 1);
  return element("input", { type: "number", step: 1, min, max: maximum, placeholder: "the model's own" });
}

function choiceField(choices: readonly string[], preset: unknown): HTMLSelectElement {
  const none = preset === undefined ? [element("option", { value: "" }, "the model's own")] : [];
  const options = choices.map((choice) => element("option", { selected: choice === preset }, choice));
  return element("select", {}, ...none, ...options);
}
