import { inlineWeight, readWeight } from "../../ir/weights.ts";
import { elementCount, tensor } from "../../tensor/tensor.ts";
import { definePass } from "../pass.ts";

/** Matrices that were joined for export bring a scale for each row, though each had one for all of its own. */
export const mergeEqualScales = definePass({
  name: "merge-equal-scales",
  doc: "A bitnet.linear whose rows all have the same scale has one scale.",
  async run(graph) {
    const b = graph.edit("merge-equal-scales");
    for (const node of graph.nodes) {
      if (node.op !== "bitnet.linear" || node.attrs.group !== 0) continue;
      const { def } = node.arg("scale");
      if (def.kind !== "const" || elementCount(def.data.shape) === 1) continue;
      const { data } = await readWeight(def.data);
      if (!data.every((value: number) => value === data[0])) continue;
      const scale = b.constant(inlineWeight(tensor("f32", [1], [data[0]!])));
      b.replace(node.results[0]!, b.untyped(node.op, { ...node.args, scale }, node.attrs)[0]!);
    }
  },
});
