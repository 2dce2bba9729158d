// automatically generated from the schema, do not modify

import { type Content, table, text, uint } from "../../../table.ts";
import { InlineTensor } from "./inline-tensor.ts";

export const Constant = /* @__PURE__ */ table({
  value: uint,
  key: text,
  inline: InlineTensor,
});
export type Constant = Content<typeof Constant>;
