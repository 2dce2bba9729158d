// automatically generated from the schema, do not modify

import { type Content, int, table } from "../../../table.ts";

export const FreeCall = /* @__PURE__ */ table({
  valueIndex: int,
});
export type FreeCall = Content<typeof FreeCall>;
