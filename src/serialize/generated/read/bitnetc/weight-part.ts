// automatically generated from the schema, do not modify

import { type Content, table, ubyte, uint, ulong } from "../../../table.ts";

export const WeightPart = /* @__PURE__ */ table({
  value: uint,
  layout: ubyte,
  from: ulong,
  size: ulong,
  offset: ulong,
});
export type WeightPart = Content<typeof WeightPart>;
