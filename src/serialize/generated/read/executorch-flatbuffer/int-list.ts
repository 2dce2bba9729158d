// automatically generated from the schema, do not modify

import { type Content, long, numbers, table } from "../../../table.ts";

export const IntList = /* @__PURE__ */ table({
  items: /* @__PURE__ */ numbers(long),
});
export type IntList = Content<typeof IntList>;
