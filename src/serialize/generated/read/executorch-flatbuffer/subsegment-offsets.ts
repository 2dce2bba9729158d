// automatically generated from the schema, do not modify

import { type Content, numbers, table, uint, ulong } from "../../../table.ts";

export const SubsegmentOffsets = /* @__PURE__ */ table({
  segmentIndex: uint,
  offsets: /* @__PURE__ */ numbers(ulong),
});
export type SubsegmentOffsets = Content<typeof SubsegmentOffsets>;
