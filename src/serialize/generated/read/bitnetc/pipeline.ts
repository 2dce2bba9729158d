// automatically generated from the schema, do not modify

import { type Content, bytes, table, text, uint } from "../../../table.ts";

export const Pipeline = /* @__PURE__ */ table({
  label: text,
  module: uint,
  bindings: bytes,
});
export type Pipeline = Content<typeof Pipeline>;
