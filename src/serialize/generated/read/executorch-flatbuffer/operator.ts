// automatically generated from the schema, do not modify

import { type Content, table, text } from "../../../table.ts";

export const Operator = /* @__PURE__ */ table({
  name: text,
  overload: text,
});
export type Operator = Content<typeof Operator>;
