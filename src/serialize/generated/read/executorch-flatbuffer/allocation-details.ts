// automatically generated from the schema, do not modify

import { type Content, table, uint } from "../../../table.ts";

export const AllocationDetails = /* @__PURE__ */ table({
  memoryId: uint,
  memoryOffsetLow: uint,
  memoryOffsetHigh: uint,
});
export type AllocationDetails = Content<typeof AllocationDetails>;
