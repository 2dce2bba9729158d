// automatically generated from the schema, do not modify

import { type Content, table, ubyte, union } from "../../../table.ts";

export const EValue = /* @__PURE__ */ table({
  valType: ubyte,
  val: union,
});
export type EValue = Content<typeof EValue>;
