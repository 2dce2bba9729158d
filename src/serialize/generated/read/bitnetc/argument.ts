// automatically generated from the schema, do not modify

import { type Content, bool, numbers, table, text, uint } from "../../../table.ts";

export const Argument = /* @__PURE__ */ table({
  name: text,
  isList: bool,
  values: /* @__PURE__ */ numbers(uint),
});
export type Argument = Content<typeof Argument>;
