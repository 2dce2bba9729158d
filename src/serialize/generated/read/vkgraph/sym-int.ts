// automatically generated from the schema, do not modify

import { type Content, int, table } from "../../../table.ts";

export const SymInt = /* @__PURE__ */ table({
  value: int,
});
export type SymInt = Content<typeof SymInt>;
