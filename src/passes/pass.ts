import type { PartitionedGraph } from "../backends/backend.ts";
import type { Lowering } from "../backends/webgpu/lowering/group.ts";
import type { Diagnostic } from "../errors.ts";
import type { ModelInfo } from "../frontend/model.ts";
import type { Graph } from "../ir/graph.ts";
import type { Options } from "../options.ts";
import type { Rule, RuleReport } from "./rule.ts";

/** The phases that passes belong to, in order. `import` is what the frontend made. */
export const phases = [
  "import",
  "canonical",
  "fused",
  "stateful",
  "packed",
  "partitioned",
  "planned",
] as const;
export type Phase = (typeof phases)[number];

/** One step of the compiler. The graph is valid before and after; `lower` proves it. */
export interface Pass {
  /** kebab-case, unique in the pipeline's vocabulary; plugins refer to it. */
  readonly name: string;
  readonly doc: string;
  /** What a pass made of rules applies; plugins add to these. */
  readonly rules?: readonly Rule[];
  run(graph: Graph, context: PassContext): void | Promise<void>;
}

/** What a pass works with beside the graph. */
export interface PassContext {
  readonly options: Options;
  readonly info: ModelInfo;
  /** Tells the user: a warning, or an error, which ends the compilation when the pass is over. */
  report(diagnostic: Diagnostic): void;
  /** What the backend made of the graph, from the *partitioned* phase on. */
  readonly placed: { graph?: PartitionedGraph };
  /** Ways to compute nodes on the GPU that plugins add. */
  readonly lowerings: readonly Lowering[];
  /** Adds to a number of the report. */
  metric(name: string, value: number): void;
  /** What a rule did, for `explain`. */
  readonly rules: Map<string, RuleReport>;
}

/** Lets TypeScript infer a pass's type. */
export const definePass = (pass: Pass): Pass => pass;
