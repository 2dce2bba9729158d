// automatically generated from the schema, do not modify

import { type Content, long, table, text } from "../../../table.ts";

export const Symbol = /* @__PURE__ */ table({
  name: text,
  min: long,
  max: long,
});
export type Symbol = Content<typeof Symbol>;
