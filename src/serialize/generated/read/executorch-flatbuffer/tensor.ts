// automatically generated from the schema, do not modify

import { type Content, bool, byte, bytes, int, numbers, table, uint } from "../../../table.ts";
import { AllocationDetails } from "./allocation-details.ts";
import { ExtraTensorInfo } from "./extra-tensor-info.ts";

export const Tensor = /* @__PURE__ */ table({
  scalarType: byte,
  storageOffset: int,
  sizes: /* @__PURE__ */ numbers(int),
  dimOrder: bytes,
  requiresGrad: bool,
  dataBufferIdx: uint,
  allocationInfo: AllocationDetails,
  layout: byte,
  shapeDynamism: byte,
  extraTensorInfo: ExtraTensorInfo,
});
export type Tensor = Content<typeof Tensor>;
