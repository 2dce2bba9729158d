// automatically generated from the schema, do not modify

import { type Content, byte, table, text, ulong } from "../../../table.ts";

export const ExtraTensorInfo = /* @__PURE__ */ table({
  mutableDataSegmentsIdx: ulong,
  fullyQualifiedName: text,
  location: byte,
  deviceType: byte,
  deviceIndex: byte,
});
export type ExtraTensorInfo = Content<typeof ExtraTensorInfo>;
