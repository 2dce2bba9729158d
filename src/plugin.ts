import type { Importer } from "./frontend/onnx/importer.ts";
import type { Graph } from "./ir/graph.ts";
import type { OpName, Ops } from "./ir/ops/index.ts";
import type { OpDef, OpSignature } from "./ir/ops/op.ts";
import type { Options } from "./options.ts";
import type { Pass, Phase } from "./passes/pass.ts";
import type { Rule } from "./passes/rule.ts";

/** Something that extends the compiler: `{ name, setup(build) }`. */
export interface Plugin {
  readonly name: string;
  setup(build: PluginBuild): void | Promise<void>;
}

/** Where a pass goes. Phases are named for what the graph is like after them. */
export type PassPlace =
  | { readonly before: string }
  | { readonly after: string }
  | { readonly phase: Phase; readonly order?: "first" | "last" };

/** What a plugin's `setup` may call. A name that is taken is an error. */
export interface PluginBuild {
  readonly options: Options;
  /** Adds an op; declare its signature by merging into `Ops`. */
  op<N extends OpName>(name: N, definition: OpDef<Ops[N] extends OpSignature ? Ops[N] : never>): void;
  /** Maps an ONNX op to core or plugin ops; `type` is `domain::OpType`, or `::OpType` for the default domain. */
  onnxOp(type: string, importer: Importer): void;
  /** Adds a rule to a pass made of rules. */
  rule(rule: Rule, place: { readonly into: string }): void;
  pass(pass: Pass, place: PassPlace): void;
  /** Called with the graph after each phase whose name matches. */
  onPhase(
    filter: RegExp,
    callback: (event: { readonly phase: Phase; readonly graph: Graph }) => void | Promise<void>,
  ): void;
}

/** Lets TypeScript infer a plugin's type. */
export const definePlugin = (plugin: Plugin): Plugin => plugin;
