// automatically generated from the schema, do not modify

import { type Content, numbers, table, uint } from "../../../table.ts";

export const Dims = /* @__PURE__ */ table({
  value: uint,
  sizes: /* @__PURE__ */ numbers(uint),
});
export type Dims = Content<typeof Dims>;
