// automatically generated from the schema, do not modify

import { type Content, table, uint, ulong } from "../../../table.ts";

export const BufferRange = /* @__PURE__ */ table({
  buffer: uint,
  offset: ulong,
  size: ulong,
});
export type BufferRange = Content<typeof BufferRange>;
