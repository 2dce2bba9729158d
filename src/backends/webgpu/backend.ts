import * as diagnostics from "../../diagnostics.ts";
import type { Graph } from "../../ir/graph.ts";
import { inputNamed } from "../../passes/decoder.ts";
import { capacityOf } from "../../passes/lengths.ts";
import type { PassContext } from "../../passes/pass.ts";
import { toProgramGraph } from "../../passes/to-program-graph.ts";
import type { Plan } from "../../runtime/webgpu/plan.ts";
import { delegateFormat, delegateId } from "../../serialize/delegate.ts";
import { writeDelegate } from "../../serialize/delegate-writer.ts";
import { type WrittenProgram, writeProgram } from "../../serialize/program-writer.ts";
import type { Sink } from "../../serialize/sink.ts";
import type { Backend, Compiled } from "../backend.ts";
import { countOf } from "../partition-report.ts";
import { runnerMethods, textBlobs, weightBlob } from "../program-contents.ts";
import { KernelRefusal } from "./lowering/emitter.ts";
import { type Grouping, groupNodes } from "./lowering/groups.ts";
import { buildPlan, type PlannedGraph } from "./plan/build.ts";

/**
 * bitnetc's own delegate: the graph, which the CPU runs, and a plan of what a GPU is to do. The plan is for the whole
 * graph or there is none: nodes pass on values in GPU memory, and a node on the CPU between them would cost more than
 * all others.
 */
export const webgpu: Backend = {
  packsTernary: true,
  narrowsFloats: true,
  embeddings: ["auto", "f16", "bf16", "f32", "q8"],
  customOps: ["none"],
  partition(graph, context) {
    const grouping = groupNodes(graph, context.lowerings);
    const { groups, refusals } = grouping;
    if (refusals.length > 0) context.report(diagnostics.nodesRefused(refusals));
    let planned: PlannedGraph | undefined;
    return {
      report: { groups: countOf(groups.map(({ name }) => name)), refused: refusals },
      plan() {
        planned = planGraph(graph, grouping, context);
      },
      emit: (compiled, sink) => emitDelegate(graph, planned?.plan, compiled, sink),
    };
  },
};

/** Where a node is refused there is nothing to plan: the program then holds the graph alone. */
function planGraph(
  graph: Graph,
  { groups, refusals }: Grouping,
  { report, metric }: PassContext,
): PlannedGraph | undefined {
  if (groups.length === 0 || refusals.length > 0) return undefined;
  try {
    const planned = buildPlan(graph, groups, toProgramGraph(graph).numbers);
    const { dispatches, arena, arenaWithoutSharing } = planned.summary;
    for (const [schedule, count] of Object.entries(dispatches)) metric(`plan.dispatches.${schedule}`, count);
    metric("plan.arena.bytes", arena);
    metric("plan.arena.bytes-without-sharing", arenaWithoutSharing);
    return planned;
  } catch (error) {
    if (!(error instanceof KernelRefusal)) throw error;
    const { op, loc } = error.node;
    report(diagnostics.nodesRefused([{ op, source: loc.source, why: error.message }]));
    return undefined;
  }
}

function emitDelegate(
  graph: Graph,
  plan: Plan | undefined,
  compiled: Compiled,
  sink: Sink,
): Promise<WrittenProgram> {
  const parts = toProgramGraph(graph);
  const typed = (name: string, value: number) => ({ name, ...parts.graph.values[value]! });
  const isDecoder = inputNamed(graph, "tokens") !== undefined;
  return writeProgram(
    {
      methods: [
        {
          name: "forward",
          inputs: parts.graph.inputs.map(({ name, value }) => typed(name, value)),
          outputs: parts.graph.outputs.map(({ name, value }) => typed(name, value)),
        },
      ],
      constantMethods: isDecoder ? runnerMethods(graph, compiled.info, capacityOf(graph)) : {},
      namedData: [
        ...textBlobs(compiled),
        ...[...parts.weights].map(([key, weight]) => weightBlob(key, weight)),
      ],
      delegate: {
        id: delegateId,
        format: delegateFormat,
        build: (blobs) => writeDelegate(parts.graph, blobs, plan),
      },
    },
    sink,
  );
}
