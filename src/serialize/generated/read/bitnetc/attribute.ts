// automatically generated from the schema, do not modify

import { type Content, double, list, numbers, table, text, ubyte } from "../../../table.ts";

export const Attribute = /* @__PURE__ */ table({
  name: text,
  kind: ubyte,
  numbers: /* @__PURE__ */ numbers(double),
  strings: /* @__PURE__ */ list(text),
});
export type Attribute = Content<typeof Attribute>;
