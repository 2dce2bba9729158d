import type { Lowering } from "./backends/webgpu/lowering/group.ts";
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

/**
 * Where a pass goes: beside another one, of the compiler or of any plugin, or first or last (the default) in a
 * phase. A pass that runs several times, as the clean-up does, counts as where it runs last.
 */
export type PassPlace =
  | { readonly before: string }
  | { readonly after: string }
  | { readonly phase: Exclude<Phase, "import">; readonly order?: "first" | "last" };

export type PhaseListener = (event: { readonly phase: Phase; readonly graph: Graph }) => void | Promise<void>;

/**
 * What a plugin's `setup` may call. Everything that plugins add is put together when all are set up, so their
 * order only decides between things that go to the same place. A name that is taken is an error.
 */
export interface PluginBuild {
  readonly options: Options;
  /** Adds an op, named `namespace.op`; declare its signature by merging into `Ops`. */
  op<N extends OpName>(name: N, definition: OpDef<Ops[N] extends OpSignature ? Ops[N] : never>): void;
  /**
   * Maps an ONNX op to core or plugin ops; `type` is `domain::OpType`, or `::OpType` for the default domain.
   * It goes before bitnetc's own importer of that op, if there is one.
   */
  onnxOp(type: `${string}::${string}`, importer: Importer): void;
  /** Adds a rule to a pass made of rules, behind those it has. */
  rule(rule: Rule, place: { readonly into: string }): void;
  pass(pass: Pass, place: PassPlace): void;
  /** Adds a way to compute nodes on the GPU. It chooses before bitnetc's own do. */
  lowering(lowering: Lowering): void;
  /** Called with the graph after each phase whose name matches, `import` included. It may look, not edit. */
  onPhase(filter: RegExp, callback: PhaseListener): void;
}

/** Lets TypeScript infer a plugin's type. */
export const definePlugin = (plugin: Plugin): Plugin => plugin;
