// automatically generated from the schema, do not modify

import { type Content, byte, table, uint } from "../../../table.ts";

export const BackendDelegateDataReference = /* @__PURE__ */ table({
  location: byte,
  index: uint,
});
export type BackendDelegateDataReference = Content<typeof BackendDelegateDataReference>;
