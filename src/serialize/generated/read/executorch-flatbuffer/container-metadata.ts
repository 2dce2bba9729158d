// automatically generated from the schema, do not modify

import { type Content, table, text } from "../../../table.ts";

export const ContainerMetadata = /* @__PURE__ */ table({
  encodedInpStr: text,
  encodedOutStr: text,
});
export type ContainerMetadata = Content<typeof ContainerMetadata>;
