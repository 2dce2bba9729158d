// automatically generated from the schema, do not modify

import { type Content, table, ubyte, union } from "../../../table.ts";

export const VkValue = /* @__PURE__ */ table({
  valueType: ubyte,
  value: union,
});
export type VkValue = Content<typeof VkValue>;
