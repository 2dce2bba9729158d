// automatically generated from the schema, do not modify

import { type Content, numbers, table, ubyte, uint } from "../../../table.ts";

export const Value = /* @__PURE__ */ table({
  dtype: ubyte,
  shape: /* @__PURE__ */ numbers(uint),
});
export type Value = Content<typeof Value>;
