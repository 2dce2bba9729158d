// automatically generated from the schema, do not modify

import { type Content, table, text, ulong } from "../../../table.ts";

export const Limit = /* @__PURE__ */ table({
  name: text,
  min: ulong,
});
export type Limit = Content<typeof Limit>;
