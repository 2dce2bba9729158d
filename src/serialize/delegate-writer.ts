import type { ProgramGraph } from "../runtime/graph.ts";
import type { Plan } from "../runtime/webgpu/plan.ts";
import type { BlobEntry } from "./blob.ts";
import { graphFault } from "./check-graph.ts";
import { planFault } from "./check-plan.ts";
import { newest } from "./delegate.ts";
import { encodeDelegate } from "./delegate-encoder.ts";

/** @throws Error when the graph or the plan cannot be run */
export function writeDelegate(graph: ProgramGraph, blobs: readonly BlobEntry[], plan?: Plan): Uint8Array {
  const fault = graphFault(graph, blobs) ?? (plan && planFault(plan, graph));
  if (fault !== undefined) throw new Error(`the graph cannot be written: ${fault}`);
  return encodeDelegate({ graph, blobs, ...(plan && { plan }) }, newest);
}
