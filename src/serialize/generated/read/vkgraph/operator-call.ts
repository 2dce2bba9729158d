// automatically generated from the schema, do not modify

import { type Content, int, numbers, table, text, uint } from "../../../table.ts";

export const OperatorCall = /* @__PURE__ */ table({
  nodeId: uint,
  name: text,
  args: /* @__PURE__ */ numbers(int),
});
export type OperatorCall = Content<typeof OperatorCall>;
