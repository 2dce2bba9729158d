// automatically generated from the schema, do not modify

import { type Content, int, table, text } from "../../../table.ts";

export const Frame = /* @__PURE__ */ table({
  filename: text,
  lineno: int,
  name: text,
  context: text,
});
export type Frame = Content<typeof Frame>;
