// automatically generated from the schema, do not modify

import { type Content, bytes, table, text, ulong } from "../../../table.ts";

export const Blob = /* @__PURE__ */ table({
  key: text,
  size: ulong,
  sha256: bytes,
  chunks: bytes,
});
export type Blob = Content<typeof Blob>;
