// automatically generated from the schema, do not modify

import { type Content, double, numbers, table } from "../../../table.ts";

export const DoubleList = /* @__PURE__ */ table({
  items: /* @__PURE__ */ numbers(double),
});
export type DoubleList = Content<typeof DoubleList>;
