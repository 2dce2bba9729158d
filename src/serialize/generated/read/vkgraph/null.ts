// automatically generated from the schema, do not modify

import { type Content, table } from "../../../table.ts";

export const Null = /* @__PURE__ */ table({
});
export type Null = Content<typeof Null>;
