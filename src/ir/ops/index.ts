import { bitnetOps } from "./bitnet.ts";
import { elementwiseOps } from "./elementwise.ts";
import { indexingOps } from "./indexing.ts";
import { movementOps } from "./movement.ts";
import { neuralOps } from "./neural.ts";
import type { OpDef, OpSignature, OpTable } from "./op.ts";
import { reductionOps } from "./reduction.ts";
import type { CoreOps } from "./signatures.ts";

/** Every op there is. Plugins add theirs here by declaration merging: `interface Ops { "acme.op": OpSignature<"x"> }`. */
export interface Ops extends CoreOps {}

export type OpName = keyof Ops & string;
type Signature<N extends OpName> = Ops[N] extends OpSignature ? Ops[N] : never;
export type ArgsOf<N extends OpName> = Signature<N>["args"];
export type AttrsOf<N extends OpName> = Signature<N>["attrs"];

/** Definitions by op name: the core's, and those of the plugins of one compilation. */
export type OpRegistry = ReadonlyMap<string, OpDef>;

/** Ends in a compile error if an op has no definition. */
const coreOpTable: OpTable<CoreOps> = {
  ...elementwiseOps,
  ...reductionOps,
  ...movementOps,
  ...indexingOps,
  ...neuralOps,
  ...bitnetOps,
};

/** By name an op's signature is not known: who adds a node of it has checked the arguments, `untyped` does so again. */
export const coreOps: OpRegistry = new Map(Object.entries(coreOpTable) as unknown as [string, OpDef][]);
