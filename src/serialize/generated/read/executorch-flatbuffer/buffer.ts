// automatically generated from the schema, do not modify

import { type Content, bytes, table } from "../../../table.ts";

export const Buffer = /* @__PURE__ */ table({
  storage: bytes,
});
export type Buffer = Content<typeof Buffer>;
