// automatically generated from the schema, do not modify

import { type Content, bytes, table, text } from "../../../table.ts";

export const CompileSpec = /* @__PURE__ */ table({
  key: text,
  value: bytes,
});
export type CompileSpec = Content<typeof CompileSpec>;
