import type { Node, Value } from "../../ir/graph.ts";
import { formatType } from "../../ir/type.ts";
import { definePass } from "../pass.ts";

/**
 * Exporters write a + b or b + a as they please. Ordering the arguments of commutative ops by what they are
 * makes graphs that compute the same thing equal as text.
 */
export const orderOperands = definePass({
  name: "order-operands",
  doc: "Commutative ops take the argument with the shorter history first.",
  run(graph) {
    const keys = new Map<Value, { depth: number; text: string }>();
    const keyOf = (value: Value) =>
      keys.get(value) ?? {
        depth: value.def.kind === "const" ? Infinity : 0,
        text: `${value.def.kind} ${formatType(value.type)}`,
      };
    const b = graph.edit("order-operands");
    for (const node of graph.nodes) {
      const ordered = node.def.commutative ? reordered(node, keyOf) : undefined;
      const results = ordered ? b.untyped(node.op, ordered, node.attrs) : node.results;
      if (ordered) for (const [i, result] of node.results.entries()) b.replace(result, results[i]!);
      const operands = results[0]!.node!.operands.map(keyOf);
      const depth =
        1 + operands.reduce((most, { depth: d }) => (Number.isFinite(d) ? Math.max(most, d) : most), 0);
      const text = shorten(
        `${node.op}(${operands.map((k) => k.text).join(",")})${JSON.stringify(node.attrs)}`,
      );
      for (const [i, result] of results.entries()) keys.set(result, { depth, text: `${text}.${i}` });
    }
  },
});

type Key = { readonly depth: number; readonly text: string };

function reordered(node: Node, keyOf: (value: Value) => Key): Record<string, Value> | undefined {
  const [first, second] = Object.keys(node.args) as [string, string];
  const [x, y] = [node.arg(first), node.arg(second)];
  const [p, q] = [keyOf(x), keyOf(y)];
  const isInOrder = p.depth !== q.depth ? p.depth < q.depth : p.text <= q.text;
  return isInOrder ? undefined : { [first]: y, [second]: x };
}

/** FNV-1a of the text, so that keys do not grow with the graph. */
function shorten(text: string): string {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
