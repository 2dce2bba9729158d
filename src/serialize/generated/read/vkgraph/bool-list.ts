// automatically generated from the schema, do not modify

import { type Content, bool, numbers, table } from "../../../table.ts";

export const BoolList = /* @__PURE__ */ table({
  items: /* @__PURE__ */ numbers(bool),
});
export type BoolList = Content<typeof BoolList>;
