// automatically generated from the schema, do not modify

import { type Content, int, table } from "../../../table.ts";

export const MoveCall = /* @__PURE__ */ table({
  moveFrom: int,
  moveTo: int,
});
export type MoveCall = Content<typeof MoveCall>;
