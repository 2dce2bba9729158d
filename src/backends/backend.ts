import type { CompileReport } from "../compiler/report.ts";
import type { ModelInfo } from "../frontend/model.ts";
import type { Graph, Value } from "../ir/graph.ts";
import type { Options } from "../options.ts";
import type { PassContext } from "../passes/pass.ts";
import type { WrittenProgram } from "../serialize/program-writer.ts";
import type { Sink } from "../serialize/sink.ts";
import type { PartitionReport } from "./partition-report.ts";

/** Who runs a program, and what that means for the last phases of the compiler. */
export interface Backend {
  /** Ternary codes become blocks of two bits or less, before nodes are placed. */
  readonly packsTernary: boolean;
  /** Tables and dense weights take 16 bits where that is exact; else they are f32. */
  readonly narrowsFloats: boolean;
  /** How its programs can hold the embedding and the head. */
  readonly embeddings: readonly Options["embedding"][];
  /** Libraries of custom kernels that its programs can call. */
  readonly customOps: readonly Options["customOps"][];
  /** *partitioned*: decides where each node runs, and reports what cannot run, or not where it should. */
  partition(graph: Graph, context: PassContext): PartitionedGraph;
}

/** A graph whose nodes have a place to run. */
export interface PartitionedGraph {
  readonly report?: PartitionReport;
  /** Bytes that a constant of the graph takes in the program, where that is not what its type says. */
  storedBytes?(constant: Value): number | undefined;
  /** *planned*: what the device is to do, step by step. */
  plan?(): void;
  /** Writes the program. Weights stream from the model's files through their transforms into the sink. */
  emit(compiled: Compiled, sink: Sink): Promise<WrittenProgram>;
}

/** What a program holds beside its graph. */
export interface Compiled {
  readonly info: ModelInfo;
  readonly report: CompileReport;
}
