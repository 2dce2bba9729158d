import type { Graph, Node, Value } from "../../../ir/graph.ts";
import { maxOf, minOf, productOf } from "../../../tensor/dim.ts";
import type { Refusal } from "../../refusal.ts";
import { defaultLimits } from "../target.ts";
import { type Group, type Lowering, Matching } from "./group.ts";
import { lowerings } from "./lowerings.ts";
import { origin } from "./memory.ts";

/** A graph's nodes as the GPU runs them. */
export interface Grouping {
  /** In execution order. */
  readonly groups: readonly Group[];
  readonly refusals: readonly Refusal[];
}

/**
 * Puts every node into a group: lowerings in order, each over the whole graph, so that those which compute more at once
 * choose first. What is left is refused.
 *
 * @param added lowerings of plugins, which go first
 */
export function groupNodes(graph: Graph, added: readonly Lowering[] = []): Grouping {
  const matching = new Matching(graph);
  const reasons = new Map<Node, string>();
  for (const lowering of [...added, ...lowerings]) {
    for (const node of graph.nodes) {
      if (matching.isClaimed(node)) continue;
      const found = lowering.match(node, matching);
      if (typeof found === "string") reasons.set(node, found);
      else if (found !== undefined) matching.claim(found);
    }
  }
  const refused = graph.nodes
    .filter((node) => !matching.isClaimed(node))
    .map(
      (node): Refusal => ({
        op: node.op,
        source: node.loc.source,
        why: reasons.get(node) ?? "There is no GPU kernel for this op.",
      }),
    );
  return {
    groups: matching.inOrder(),
    refusals: [...refused, ...emptyRefusals(graph), ...bindingRefusals(graph), ...outputRefusals(graph)],
  };
}

/** WebGPU has no bindings without bytes. */
function emptyRefusals({ nodes }: Graph): readonly Refusal[] {
  const isEmpty = ({ type }: Value): boolean => maxOf(productOf(type.shape)) === 0;
  return nodes
    .filter(({ operands, results }) => [...operands, ...results].some(isEmpty))
    .map(({ op, loc }) => ({ op, source: loc.source, why: "Tensors without elements are for the CPU." }));
}

/** Values that the outside sees have 4 bytes an element on the GPU. */
const boundDTypes: readonly string[] = ["f32", "i32", "u32", "i64", "bool"];

/** Values that the outside sees: what the runtime can hand over, and a binding can show. */
function bindingRefusals({ inputs, states, outputs }: Graph): readonly Refusal[] {
  const named = [...inputs, ...states].map((value) => ({
    name: "name" in value.def ? value.def.name : "",
    value,
  }));
  return [...named, ...outputs].flatMap(({ name, value }): readonly Refusal[] => {
    const { dtype, shape } = value.type;
    const refuse = (why: string): readonly Refusal[] => [{ op: value.def.kind, source: name, why }];
    if (!boundDTypes.includes(dtype))
      return refuse(`Inputs, states and outputs in ${dtype} are for the CPU.`);
    const bytes = 4 * minOf(productOf(shape));
    if (bytes > defaultLimits.maxStorageBufferBindingSize)
      return refuse(`It has ${bytes} bytes, more than a binding shows; --max-seq-len makes caches smaller.`);
    return [];
  });
}

/** An output is memory of its own: it must be computed, and by one name only. */
function outputRefusals(graph: Graph): readonly Refusal[] {
  const seen = new Set<Value>();
  return graph.outputs.flatMap(({ name, value }) => {
    const from = origin(value);
    const isFresh = from.def.kind === "node" && from.node!.def.mutates === undefined && !seen.has(from);
    seen.add(from);
    if (isFresh) return [];
    return [
      {
        op: "output",
        source: name,
        why: "An output that is an input, a constant, a state or another output needs a copy.",
      },
    ];
  });
}
