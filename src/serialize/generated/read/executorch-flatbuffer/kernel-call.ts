// automatically generated from the schema, do not modify

import { type Content, int, numbers, table } from "../../../table.ts";

export const KernelCall = /* @__PURE__ */ table({
  opIndex: int,
  args: /* @__PURE__ */ numbers(int),
});
export type KernelCall = Content<typeof KernelCall>;
