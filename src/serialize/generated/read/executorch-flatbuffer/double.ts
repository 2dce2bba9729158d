// automatically generated from the schema, do not modify

import { type Content, double, table } from "../../../table.ts";

export const Double = /* @__PURE__ */ table({
  doubleVal: double,
});
export type Double = Content<typeof Double>;
