// automatically generated from the schema, do not modify

import { type Content, list, numbers, table, text, uint } from "../../../table.ts";
import { Argument } from "./argument.ts";
import { Attribute } from "./attribute.ts";

export const Node = /* @__PURE__ */ table({
  op: text,
  args: /* @__PURE__ */ list(Argument),
  attrs: /* @__PURE__ */ list(Attribute),
  results: /* @__PURE__ */ numbers(uint),
  source: text,
});
export type Node = Content<typeof Node>;
