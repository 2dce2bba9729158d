// automatically generated from the schema, do not modify

import { type Content, list, numbers, orElse, table, text, ubyte, uint } from "../../../table.ts";
import { OperatorCall } from "./operator-call.ts";
import { VkValue } from "./vk-value.ts";
import { VkBytes } from "./vk-bytes.ts";

export const VkGraph = /* @__PURE__ */ table({
  version: text,
  chain: /* @__PURE__ */ list(OperatorCall),
  values: /* @__PURE__ */ list(VkValue),
  inputIds: /* @__PURE__ */ numbers(uint),
  outputIds: /* @__PURE__ */ numbers(uint),
  constants: /* @__PURE__ */ list(VkBytes),
  shaders: /* @__PURE__ */ list(VkBytes),
  storageTypeOverride: /* @__PURE__ */ orElse(ubyte, 255),
  memoryLayoutOverride: /* @__PURE__ */ orElse(ubyte, 255),
});
export type VkGraph = Content<typeof VkGraph>;
