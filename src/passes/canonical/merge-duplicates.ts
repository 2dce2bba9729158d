import { isList, type Value } from "../../ir/graph.ts";
import { dimKey } from "../../tensor/dim.ts";
import { definePass } from "../pass.ts";

/** Common subexpression elimination: one node for each distinct computation, one value for each constant. */
export const mergeDuplicates = definePass({
  name: "merge-duplicates",
  doc: "Merges equal constants and equal computations.",
  run(graph) {
    const b = graph.edit("merge-duplicates");
    const numbers = new Map<Value, number>();
    const leaves = new Map<string, Value>();
    const seen = new Map<string, readonly Value[]>();
    const numberOf = (value: Value): number => {
      const known = numbers.get(value);
      if (known !== undefined) return known;
      numbers.set(value, numbers.size);
      return numbers.size - 1;
    };
    for (const node of graph.nodes) {
      for (const operand of node.operands) {
        const key = leafKey(operand);
        if (key === undefined) continue;
        const first = leaves.get(key) ?? operand;
        leaves.set(key, first);
        if (first !== operand) b.replace(operand, first);
      }
      if (node.def.mutates !== undefined) continue;
      const args = Object.entries(node.args).map(
        ([name, arg = []]) => `${name}=${(isList(arg) ? arg : [arg]).map(numberOf)}`,
      );
      if (node.def.commutative)
        args.sort((x, y) => (x.slice(x.indexOf("=")) < y.slice(y.indexOf("=")) ? -1 : 1));
      const key = `${node.op}(${node.def.commutative ? args.map((a) => a.slice(a.indexOf("="))) : args})${JSON.stringify(node.attrs)}`;
      const first = seen.get(key);
      if (first === undefined) seen.set(key, node.results);
      else for (const [i, result] of node.results.entries()) b.replace(result, first[i]!);
    }
  },
});

function leafKey(value: Value): string | undefined {
  if (value.def.kind === "const") return `const ${value.type.dtype} ${value.def.data.id}`;
  return value.def.kind === "dims"
    ? `dims ${value.type.shape.length} ${value.contents!.map(dimKey)}`
    : undefined;
}
