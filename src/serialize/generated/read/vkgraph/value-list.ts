// automatically generated from the schema, do not modify

import { type Content, int, numbers, table } from "../../../table.ts";

export const ValueList = /* @__PURE__ */ table({
  items: /* @__PURE__ */ numbers(int),
});
export type ValueList = Content<typeof ValueList>;
