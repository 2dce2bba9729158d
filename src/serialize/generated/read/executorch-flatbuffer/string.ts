// automatically generated from the schema, do not modify

import { type Content, table, text } from "../../../table.ts";

export const String = /* @__PURE__ */ table({
  stringVal: text,
});
export type String = Content<typeof String>;
