// automatically generated from the schema, do not modify

import { type Content, byte, int, numbers, orElse, table, ubyte, uint } from "../../../table.ts";

export const VkTensor = /* @__PURE__ */ table({
  datatype: byte,
  dims: /* @__PURE__ */ numbers(uint),
  constantId: int,
  memObjId: int,
  storageType: /* @__PURE__ */ orElse(ubyte, 255),
  memoryLayout: /* @__PURE__ */ orElse(ubyte, 255),
  stagingDatatype: /* @__PURE__ */ orElse(byte, 127),
});
export type VkTensor = Content<typeof VkTensor>;
