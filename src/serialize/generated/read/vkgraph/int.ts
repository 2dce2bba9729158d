// automatically generated from the schema, do not modify

import { type Content, long, table } from "../../../table.ts";

export const Int = /* @__PURE__ */ table({
  intVal: long,
});
export type Int = Content<typeof Int>;
