import type { Value } from "../../ir/graph.ts";
import { packedTernary } from "../../ir/ternary.ts";
import { definePass } from "../pass.ts";

/** The integer codes of every `bitnet.linear` as blocks of two bits, or five to a byte; packed when written. */
export const packTernaryWeights = definePass({
  name: "pack-ternary-weights",
  doc: "Ternary codes become tq2_0 or tq1_0 blocks.",
  run(graph, { options }) {
    const b = graph.edit("pack-ternary-weights");
    const packed = new Map<Value, Value>();
    for (const node of graph.nodes) {
      if (node.op !== "bitnet.linear") continue;
      const weight = node.arg("weight");
      if (weight.def.kind !== "const" || weight.type.dtype !== "i8") continue;
      const value = packed.get(weight) ?? b.constant(packedTernary(weight.def.data, options.weights));
      packed.set(weight, value);
      b.replace(node.results[0]!, b.untyped(node.op, { ...node.args, weight: value }, node.attrs)[0]!);
    }
  },
});
