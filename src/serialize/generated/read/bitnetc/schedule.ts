// automatically generated from the schema, do not modify

import { type Content, list, numbers, table, text, uint } from "../../../table.ts";
import { SymbolBounds } from "./symbol-bounds.ts";

export const Schedule = /* @__PURE__ */ table({
  name: text,
  when: /* @__PURE__ */ list(SymbolBounds),
  steps: /* @__PURE__ */ numbers(uint),
});
export type Schedule = Content<typeof Schedule>;
