// automatically generated from the schema, do not modify

import { type Content, long, table, text } from "../../../table.ts";

export const SymbolBounds = /* @__PURE__ */ table({
  symbol: text,
  min: long,
  max: long,
});
export type SymbolBounds = Content<typeof SymbolBounds>;
