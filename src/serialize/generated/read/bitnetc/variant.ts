// automatically generated from the schema, do not modify

import { type Content, bool, list, numbers, table, text, uint, ulong } from "../../../table.ts";
import { Schedule } from "./schedule.ts";
import { Limit } from "./limit.ts";

export const Variant = /* @__PURE__ */ table({
  name: text,
  features: /* @__PURE__ */ list(text),
  languageFeatures: /* @__PURE__ */ list(text),
  limits: /* @__PURE__ */ list(Limit),
  minSubgroupSize: uint,
  software: bool,
  arenaSize: ulong,
  schedules: /* @__PURE__ */ list(Schedule),
  greedy: /* @__PURE__ */ numbers(uint),
  candidates: /* @__PURE__ */ numbers(uint),
});
export type Variant = Content<typeof Variant>;
