import { KernelRefusal } from "../../backends/webgpu/lowering/emitter.ts";
import { buildPlan, type PlannedGraph } from "../../backends/webgpu/plan/build.ts";
import * as diagnostics from "../../diagnostics.ts";
import type { Graph } from "../../ir/graph.ts";
import { definePass, type PassContext } from "../pass.ts";
import { toProgramGraph } from "../to-program-graph.ts";

/** Where a node is refused there is nothing to plan: the program then holds the graph alone, for the CPU. */
export const planDispatches = definePass({
  name: "plan-dispatches",
  doc: "Each group becomes dispatches with shaders for every kind of adapter, and the memory between them gets its place.",
  run(graph, context) {
    const planned = plan(graph, context);
    if (planned === undefined) return;
    context.delegate.planned = planned;
    const { dispatches, arena, arenaWithoutSharing } = planned.summary;
    for (const [schedule, count] of Object.entries(dispatches))
      context.metric(`plan.dispatches.${schedule}`, count);
    context.metric("plan.arena.bytes", arena);
    context.metric("plan.arena.bytes-without-sharing", arenaWithoutSharing);
  },
});

function plan(graph: Graph, { delegate, report }: PassContext): PlannedGraph | undefined {
  const { groups = [], refusals = [] } = delegate.partition ?? {};
  if (groups.length === 0 || refusals.length > 0) return undefined;
  try {
    return buildPlan(graph, groups, toProgramGraph(graph).numbers);
  } catch (error) {
    if (!(error instanceof KernelRefusal)) throw error;
    const { op, loc } = error.node;
    report(diagnostics.nodesRefused([{ op, source: loc.source, why: error.message }]));
    return undefined;
  }
}
