// automatically generated from the schema, do not modify

import { type Content, list, table, uint } from "../../../table.ts";
import { ExecutionPlan } from "./execution-plan.ts";
import { Buffer } from "./buffer.ts";
import { BackendDelegateInlineData } from "./backend-delegate-inline-data.ts";
import { DataSegment } from "./data-segment.ts";
import { SubsegmentOffsets } from "./subsegment-offsets.ts";
import { NamedData } from "./named-data.ts";

export const Program = /* @__PURE__ */ table({
  version: uint,
  executionPlan: /* @__PURE__ */ list(ExecutionPlan),
  constantBuffer: /* @__PURE__ */ list(Buffer),
  backendDelegateData: /* @__PURE__ */ list(BackendDelegateInlineData),
  segments: /* @__PURE__ */ list(DataSegment),
  constantSegment: SubsegmentOffsets,
  mutableDataSegments: /* @__PURE__ */ list(SubsegmentOffsets),
  namedData: /* @__PURE__ */ list(NamedData),
});
export type Program = Content<typeof Program>;
