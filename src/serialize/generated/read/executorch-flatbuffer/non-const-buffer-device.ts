// automatically generated from the schema, do not modify

import { type Content, byte, int, table } from "../../../table.ts";

export const NonConstBufferDevice = /* @__PURE__ */ table({
  bufferIdx: int,
  deviceType: byte,
  deviceIndex: byte,
});
export type NonConstBufferDevice = Content<typeof NonConstBufferDevice>;
