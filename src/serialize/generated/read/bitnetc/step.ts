// automatically generated from the schema, do not modify

import { type Content, table, text, ubyte, uint } from "../../../table.ts";

export const Step = /* @__PURE__ */ table({
  kernel: text,
  class_: ubyte,
  source: text,
  pipeline: uint,
  bindings: uint,
  x: uint,
  y: uint,
  z: uint,
});
export type Step = Content<typeof Step>;
