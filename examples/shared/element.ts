type Child = Node | string;

/** Makes an element. Attributes whose value is undefined or false are left out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number | boolean | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** The element of the page with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found as T;
}

export const button = (label: string, kind: "primary" | "plain" | "quiet" = "plain"): HTMLButtonElement =>
  element("button", { type: "button", class: kind }, label);

/** Rows of names and values. */
export function facts(rows: readonly (readonly [name: string, value: string])[]): HTMLElement {
  return element(
    "dl",
    { class: "facts" },
    ...rows.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", { title: value }, value)),
    ),
  );
}

/** A field with an id, its label and what explains it. */
export function fieldRow(field: HTMLElement, label: string, help: string): HTMLElement {
  const helpId = `${field.id}-help`;
  field.setAttribute("aria-describedby", helpId);
  return element(
    "div",
    { class: "field" },
    element(
      "div",
      {},
      element("label", { for: field.id }, label),
      element("span", { id: helpId, class: "help" }, help),
    ),
    field,
  );
}
