// automatically generated from the schema, do not modify

import { type Content, table, text, ulong } from "../../../table.ts";

export const VkBytes = /* @__PURE__ */ table({
  offset: ulong,
  length: ulong,
  namedKey: text,
});
export type VkBytes = Content<typeof VkBytes>;
