// automatically generated from the schema, do not modify

import { type Content, int, list, long, numbers, table, text } from "../../../table.ts";
import { EValue } from "./evalue.ts";
import { Operator } from "./operator.ts";
import { Chain } from "./chain.ts";
import { BackendDelegate } from "./backend-delegate.ts";
import { ContainerMetadata } from "./container-metadata.ts";
import { NonConstBufferDevice } from "./non-const-buffer-device.ts";

export const ExecutionPlan = /* @__PURE__ */ table({
  name: text,
  containerMetaType: ContainerMetadata,
  values: /* @__PURE__ */ list(EValue),
  inputs: /* @__PURE__ */ numbers(int),
  outputs: /* @__PURE__ */ numbers(int),
  chains: /* @__PURE__ */ list(Chain),
  operators: /* @__PURE__ */ list(Operator),
  delegates: /* @__PURE__ */ list(BackendDelegate),
  nonConstBufferSizes: /* @__PURE__ */ numbers(long),
  nonConstBufferDevice: /* @__PURE__ */ list(NonConstBufferDevice),
});
export type ExecutionPlan = Content<typeof ExecutionPlan>;
