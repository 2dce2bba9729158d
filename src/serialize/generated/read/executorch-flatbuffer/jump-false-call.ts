// automatically generated from the schema, do not modify

import { type Content, int, table } from "../../../table.ts";

export const JumpFalseCall = /* @__PURE__ */ table({
  condValueIndex: int,
  destinationInstruction: int,
});
export type JumpFalseCall = Content<typeof JumpFalseCall>;
