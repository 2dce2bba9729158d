import { portableRefusals } from "../../backends/portable/lower.ts";
import { groupNodes } from "../../backends/webgpu/lowering/groups.ts";
import * as diagnostics from "../../diagnostics.ts";
import { definePass } from "../pass.ts";

/**
 * The delegate takes the whole graph or none of it: its nodes pass on values in GPU memory, and a node on the CPU
 * between them would cost more than all others.
 */
export const partition = definePass({
  name: "partition",
  doc: "Nodes are put into the groups that a GPU computes together, and those that it cannot compute get a reason; for portable kernels, which take every node alone, only the reasons. The graph stays as it is.",
  run(graph, { delegate, lowerings, options, report }) {
    if (options.backend === "portable") {
      const refused = portableRefusals(graph);
      if (refused.length > 0) report(diagnostics.notPortable(refused));
      return;
    }
    delegate.partition = groupNodes(graph, lowerings);
    const { refusals } = delegate.partition;
    if (refusals.length > 0) report(diagnostics.nodesRefused(refusals));
  },
});
