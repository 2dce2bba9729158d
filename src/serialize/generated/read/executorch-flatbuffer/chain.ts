// automatically generated from the schema, do not modify

import { type Content, int, list, numbers, table } from "../../../table.ts";
import { Instruction } from "./instruction.ts";
import { FrameList } from "./frame-list.ts";

export const Chain = /* @__PURE__ */ table({
  inputs: /* @__PURE__ */ numbers(int),
  outputs: /* @__PURE__ */ numbers(int),
  instructions: /* @__PURE__ */ list(Instruction),
  stacktrace: /* @__PURE__ */ list(FrameList),
});
export type Chain = Content<typeof Chain>;
