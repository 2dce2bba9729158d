// automatically generated from the schema, do not modify

import { type Content, table, ubyte, union } from "../../../table.ts";

export const Instruction = /* @__PURE__ */ table({
  instrArgsType: ubyte,
  instrArgs: union,
});
export type Instruction = Content<typeof Instruction>;
