// automatically generated from the schema, do not modify

import { type Content, table, text, uint } from "../../../table.ts";

export const NamedData = /* @__PURE__ */ table({
  key: text,
  segmentIndex: uint,
});
export type NamedData = Content<typeof NamedData>;
