// automatically generated from the schema, do not modify

import { type Content, int, numbers, table } from "../../../table.ts";

export const DelegateCall = /* @__PURE__ */ table({
  delegateIndex: int,
  args: /* @__PURE__ */ numbers(int),
});
export type DelegateCall = Content<typeof DelegateCall>;
