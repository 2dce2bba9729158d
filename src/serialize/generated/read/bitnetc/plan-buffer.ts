// automatically generated from the schema, do not modify

import { type Content, list, table, text, ubyte, ulong } from "../../../table.ts";
import { WeightPart } from "./weight-part.ts";

export const PlanBuffer = /* @__PURE__ */ table({
  kind: ubyte,
  name: text,
  offset: ulong,
  size: ulong,
  parts: /* @__PURE__ */ list(WeightPart),
});
export type PlanBuffer = Content<typeof PlanBuffer>;
