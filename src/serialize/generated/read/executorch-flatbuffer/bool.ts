// automatically generated from the schema, do not modify

import { type Content, bool, table } from "../../../table.ts";

export const Bool = /* @__PURE__ */ table({
  boolVal: bool,
});
export type Bool = Content<typeof Bool>;
