import type { Graph, Node, Value } from "../../ir/graph.ts";
import type { Step } from "../portable/lower.ts";
import type { SizeBounds } from "../sizes.ts";
import { Emitter } from "./emitter.ts";
import { attendCached } from "./lowerings/attention.ts";
import { lowerings } from "./lowerings/index.ts";
import type { Partition, Stretch } from "./partition.ts";
import type { VulkanCalls, VulkanTensor } from "./value.ts";

export interface LoweredPartition {
  /** What runs one after another. */
  readonly steps: readonly Step[];
  readonly delegates: readonly VulkanCalls[];
}

/** The delegated stretches of a graph as calls of the GPU backends' ops. */
export function lowerPartition(graph: Graph, { stretches }: Partition, bounds: SizeBounds): LoweredPartition {
  const delegates: VulkanCalls[] = [];
  const steps = stretches.flatMap((stretch): readonly Step[] => {
    if (!stretch.isDelegated) return stretch.units.flatMap(({ nodes }) => nodes);
    const outputs = outputsOf(graph, stretch);
    const { calls, inputs } = lowerStretch(graph, stretch, outputs, bounds);
    return [{ delegate: delegates.push(calls) - 1, inputs, outputs }];
  });
  return { steps, delegates };
}

/** The values of a stretch that are used outside of it. */
function outputsOf(graph: Graph, { units }: Stretch): readonly Value[] {
  const nodes = new Set<Node>(units.flatMap((unit) => unit.nodes));
  const results = new Set(graph.outputs.map(({ value }) => value));
  return [...nodes].flatMap((node) =>
    node.results.filter((value) => results.has(value) || [...value.users].some((user) => !nodes.has(user))),
  );
}

function lowerStretch(
  graph: Graph,
  { units }: Stretch,
  outputs: readonly Value[],
  bounds: SizeBounds,
): { readonly calls: VulkanCalls; readonly inputs: readonly Value[] } {
  const e = new Emitter(graph, bounds);
  for (const { nodes, attention } of units) {
    if (attention !== undefined) attendCached(e, attention);
    else for (const node of nodes) lowerings.get(node.op)!.emit(e, node);
  }
  const taken = new Set<VulkanTensor>();
  const results = outputs.map((value) => {
    const tensor = e.tensor(value);
    const own =
      tensor.isKept || taken.has(tensor)
        ? e.op("aten.clone.default", { self: tensor, memory_format: undefined }, tensor)
        : tensor;
    taken.add(own);
    return own;
  });
  return {
    calls: { inputs: [...e.inputs.values()], outputs: results, calls: e.calls },
    inputs: [...e.inputs.keys()],
  };
}
