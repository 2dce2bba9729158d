// automatically generated from the schema, do not modify

import { type Content, bytes, table } from "../../../table.ts";

export const BackendDelegateInlineData = /* @__PURE__ */ table({
  data: bytes,
});
export type BackendDelegateInlineData = Content<typeof BackendDelegateInlineData>;
