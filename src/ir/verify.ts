import type { Graph, Node, Value } from "./graph.ts";
import type { Args } from "./ops/op.ts";
import { formatType, sameType } from "./type.ts";

/**
 * Proves that a graph is well formed: every argument is defined before it is used, users are recorded,
 * every result has the type that inference gives it, and states are read only through the op that writes them.
 * @returns sentences, one for each fault; none for a valid graph
 */
export function verifyGraph(graph: Graph): readonly string[] {
  const faults: string[] = [];
  const nodes = graph.nodes;
  const defined = new Set<Value>([...graph.inputs, ...graph.states]);
  const complain = (node: Node, sentence: string) =>
    faults.push(`${node.op}${node.loc.source ? ` (${node.loc.source})` : ""}: ${sentence}`);

  for (const node of nodes) {
    for (const operand of node.operands) {
      const { kind } = operand.def;
      if ((kind === "input" || kind === "state" || kind === "node") && !defined.has(operand))
        complain(node, `an argument (${kind}) is used before it is defined`);
      if (!operand.users.has(node)) complain(node, "is not recorded as a user of its argument");
      if (kind === "state" && node.def.mutates === undefined)
        complain(node, `reads the state ${operand.def.name} directly, not what was written to it`);
    }
    verifyTypes(node, complain);
    for (const result of node.results) defined.add(result);
  }
  const written = new Map<Value, Node>();
  for (const node of nodes) {
    if (node.def.mutates === undefined) continue;
    const state = node.arg(node.def.mutates);
    if (state.def.kind !== "state") complain(node, `${node.def.mutates} is not a state`);
    if (written.has(state)) complain(node, "writes a state that another node writes too");
    written.set(state, node);
  }
  for (const { name, value } of graph.outputs)
    if (value.node !== undefined && !defined.has(value)) faults.push(`output ${name} is not defined`);
  return faults;
}

function verifyTypes(node: Node, complain: (node: Node, sentence: string) => void): void {
  try {
    const types = node.def.infer(node.args as Args<string, Value>, node.attrs);
    node.results.forEach((result, i) => {
      const type = types[i];
      if (type === undefined || !sameType(type, result.type))
        complain(
          node,
          `has type ${formatType(result.type)}, inference says ${type ? formatType(type) : "nothing"}`,
        );
    });
  } catch (error) {
    complain(node, (error as Error).message);
  }
}
