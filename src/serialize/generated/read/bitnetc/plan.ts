// automatically generated from the schema, do not modify

import { type Content, list, numbers, table, text, uint } from "../../../table.ts";
import { Pipeline } from "./pipeline.ts";
import { PlanBuffer } from "./plan-buffer.ts";
import { BufferRange } from "./buffer-range.ts";
import { Step } from "./step.ts";
import { Variant } from "./variant.ts";

export const Plan = /* @__PURE__ */ table({
  symbols: /* @__PURE__ */ list(text),
  modules: /* @__PURE__ */ list(text),
  pipelines: /* @__PURE__ */ list(Pipeline),
  buffers: /* @__PURE__ */ list(PlanBuffer),
  ranges: /* @__PURE__ */ list(BufferRange),
  bindings: /* @__PURE__ */ numbers(uint),
  steps: /* @__PURE__ */ list(Step),
  variants: /* @__PURE__ */ list(Variant),
});
export type Plan = Content<typeof Plan>;
