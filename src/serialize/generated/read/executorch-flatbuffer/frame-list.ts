// automatically generated from the schema, do not modify

import { type Content, list, table } from "../../../table.ts";
import { Frame } from "./frame.ts";

export const FrameList = /* @__PURE__ */ table({
  items: /* @__PURE__ */ list(Frame),
});
export type FrameList = Content<typeof FrameList>;
