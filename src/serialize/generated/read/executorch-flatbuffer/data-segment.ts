// automatically generated from the schema, do not modify

import { type Content, table, ulong } from "../../../table.ts";

export const DataSegment = /* @__PURE__ */ table({
  offset: ulong,
  size: ulong,
});
export type DataSegment = Content<typeof DataSegment>;
