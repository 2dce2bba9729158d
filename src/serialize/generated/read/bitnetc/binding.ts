// automatically generated from the schema, do not modify

import { type Content, numbers, table, text, uint } from "../../../table.ts";

export const Binding = /* @__PURE__ */ table({
  name: text,
  value: uint,
  contents: /* @__PURE__ */ numbers(uint),
});
export type Binding = Content<typeof Binding>;
