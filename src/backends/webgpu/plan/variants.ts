import { type Graph, weightArgs } from "../../../ir/graph.ts";
import { constantRows } from "../lowering/buffers.ts";
import { type Target, targets } from "../target.ts";

/**
 * The targets that a graph is planned for, best first. Where a constant is larger than a binding may be by default, the
 * best target comes in two forms: one that needs the larger limit, and one that reads the constant in parts.
 */
export function targetsFor(graph: Graph): readonly Target[] {
  const { software, subgroups, workgroups, baseline } = targets;
  const largest = Math.max(
    0,
    ...graph.nodes.flatMap((node) => weightArgs(node).map(({ value }) => constantRows(value).size)),
  );
  const wide = { ...subgroups, name: "subgroups, large bindings", maxBindingSize: largest };
  const isLarge = largest > subgroups.maxBindingSize;
  return [software, ...(isLarge ? [wide] : []), subgroups, workgroups, baseline];
}
