// automatically generated from the schema, do not modify

import { type Content, list, table, text, uint } from "../../../table.ts";
import { Symbol } from "./symbol.ts";
import { Value } from "./value.ts";
import { Binding } from "./binding.ts";
import { Constant } from "./constant.ts";
import { Dims } from "./dims.ts";
import { Node } from "./node.ts";
import { Blob } from "./blob.ts";
import { Plan } from "./plan.ts";

export const Delegate = /* @__PURE__ */ table({
  version: uint,
  symbols: /* @__PURE__ */ list(Symbol),
  sizes: /* @__PURE__ */ list(text),
  values: /* @__PURE__ */ list(Value),
  inputs: /* @__PURE__ */ list(Binding),
  outputs: /* @__PURE__ */ list(Binding),
  states: /* @__PURE__ */ list(Binding),
  constants: /* @__PURE__ */ list(Constant),
  dims: /* @__PURE__ */ list(Dims),
  nodes: /* @__PURE__ */ list(Node),
  blobs: /* @__PURE__ */ list(Blob),
  plan: Plan,
  chunkSize: uint,
});
export type Delegate = Content<typeof Delegate>;
