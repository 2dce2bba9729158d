import { type Value, weightKindsOf } from "../../ir/graph.ts";
import { formatType } from "../../ir/type.ts";
import { streamRows } from "../../ir/weights.ts";
import { hasher } from "../../tensor/sha256.ts";
import { encodeElements } from "../../tensor/tensor.ts";
import { definePass } from "../pass.ts";

/** Smaller constants are not worth reading twice. */
const smallest = 1 << 16;

/** Some exporters write a tied head as a second, transposed copy of the embedding: the same numbers twice. */
export const mergeEqualWeights = definePass({
  name: "merge-equal-weights",
  doc: "Big constants with equal contents become one.",
  async run(graph) {
    const constants = new Set<Value>();
    for (const node of graph.nodes)
      for (const operand of node.operands)
        if (operand.def.kind === "const" && operand.def.data.inline === undefined) constants.add(operand);
    const byType = new Map<string, Value[]>();
    for (const value of constants) {
      const elements = (value.type.shape as number[]).reduce((n, dim) => n * dim, 1);
      if (elements >= smallest)
        byType.set(formatType(value.type), [...(byType.get(formatType(value.type)) ?? []), value]);
    }
    const b = graph.edit("merge-equal-weights");
    for (const group of byType.values()) {
      if (group.length < 2 || !group.some(isTable)) continue;
      const first = new Map<string, Value>();
      for (const value of group) {
        const digest = await digestOf(value);
        const same = first.get(digest);
        if (same === undefined) first.set(digest, value);
        else b.replace(value, same);
      }
    }
  },
});

/** Only embeddings are stored twice, as heads; hashing every weight of a big model would read it once more. */
const isTable = (value: Value): boolean => weightKindsOf(value).has("embedding");

async function digestOf(value: Value): Promise<string> {
  if (value.def.kind !== "const") throw new Error("only constants have contents");
  const hash = hasher();
  for await (const rows of streamRows(value.def.data)) hash.update(encodeElements(rows.dtype, rows.data));
  return hash.digest();
}
