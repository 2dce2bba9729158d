import type { Value } from "../../ir/graph.ts";
import { inlineLimit, inlineWeight, readWeight } from "../../ir/weights.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { definePass } from "../pass.ts";

/** Scales that had to be computed from their weight are numbers by now: they go into the graph, not beside it. */
export const inlineConstants = definePass({
  name: "inline-constants",
  doc: "Small constants that are computed lazily are computed and put into the graph.",
  async run(graph) {
    const b = graph.edit("inline-constants");
    const small = new Set<Value>();
    for (const node of graph.nodes)
      for (const operand of node.operands)
        if (
          operand.def.kind === "const" &&
          !operand.def.data.inline &&
          elementCount(operand.def.data.shape) <= inlineLimit
        )
          small.add(operand);
    for (const value of small)
      if (value.def.kind === "const")
        b.replace(value, b.constant(inlineWeight(await readWeight(value.def.data))));
  },
});
