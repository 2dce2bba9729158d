import { backends } from "../../backends/index.ts";
import { definePass } from "../pass.ts";

export const partition = definePass({
  name: "partition",
  doc: "The backend decides where each node runs: what a GPU computes together, what a delegate takes, what kernels are left with. What it cannot run gets a reason. The graph stays as it is.",
  run(graph, context) {
    context.placed.graph = backends[context.options.backend].partition(graph, context);
  },
});
