// automatically generated from the schema, do not modify

import { type Content, bytes, numbers, table, ubyte, uint } from "../../../table.ts";

export const InlineTensor = /* @__PURE__ */ table({
  dtype: ubyte,
  shape: /* @__PURE__ */ numbers(uint),
  data: bytes,
});
export type InlineTensor = Content<typeof InlineTensor>;
