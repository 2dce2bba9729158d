// automatically generated from the schema, do not modify

import { type Content, list, table, text } from "../../../table.ts";
import { CompileSpec } from "./compile-spec.ts";
import { BackendDelegateDataReference } from "./backend-delegate-data-reference.ts";

export const BackendDelegate = /* @__PURE__ */ table({
  id: text,
  processed: BackendDelegateDataReference,
  compileSpecs: /* @__PURE__ */ list(CompileSpec),
});
export type BackendDelegate = Content<typeof BackendDelegate>;
