import type { Graph, Node, Value } from "./graph.ts";
import type { Args } from "./ops/op.ts";
import { formatType, sameType } from "./type.ts";

/**
 * Proves that a graph is well formed: every argument is defined before it is used, users are recorded, every
 * result has the type that inference gives it, states are read only through the op that writes them, and no
 * two inputs, states or outputs share a name.
 * @returns sentences, one for each fault; none for a valid graph
 */
export function verifyGraph(graph: Graph): readonly string[] {
  let nodes: readonly Node[];
  try {
    nodes = graph.nodes;
  } catch (error) {
    return [(error as Error).message];
  }
  const faults: string[] = [];
  const complain = (node: Node, sentence: string) => {
    faults.push(`${node.op}${node.loc.source ? ` (${node.loc.source})` : ""}: ${sentence}`);
  };
  const defined = new Set<Value>([...graph.inputs, ...graph.states]);
  const isDefined = (value: Value) =>
    value.def.kind === "const" || value.def.kind === "dims" || defined.has(value);

  for (const node of nodes) {
    const written = node.def.mutates === undefined ? undefined : node.args[node.def.mutates];
    for (const operand of new Set(node.operands)) {
      if (!isDefined(operand))
        complain(node, `an argument (${operand.def.kind}) is used before it is defined`);
      if (!operand.users.has(node)) complain(node, "is not recorded as a user of its argument");
      if (operand.def.kind === "state" && operand !== written)
        complain(node, `reads the state ${operand.def.name} directly, not what was written to it`);
    }
    verifyTypes(node, complain);
    for (const result of node.results) defined.add(result);
  }
  verifyUsers(nodes, [...defined, ...nodes.flatMap(({ operands }) => operands)], complain);
  verifyWrites(nodes, complain);
  for (const { name, value } of graph.outputs) {
    if (!isDefined(value)) faults.push(`output ${name} is not defined`);
    if (value.def.kind === "state") faults.push(`output ${name} is the state ${value.def.name} itself`);
  }
  const nameOf = ({ def }: Value) => ("name" in def ? def.name : "");
  faults.push(
    ...sharedNames("inputs", graph.inputs.map(nameOf)),
    ...sharedNames("states", graph.states.map(nameOf)),
    ...sharedNames(
      "outputs",
      graph.outputs.map(({ name }) => name),
    ),
  );
  return faults;
}

type Complain = (node: Node, sentence: string) => void;

function verifyTypes(node: Node, complain: Complain): void {
  const args = node.args as Args<string, Value>;
  try {
    const types = node.def.infer(args, node.attrs);
    if (types.length !== node.results.length)
      complain(node, `has ${node.results.length} results, inference says ${types.length}`);
    for (const [i, { type }] of node.results.entries()) {
      const inferred = types[i];
      if (inferred !== undefined && !sameType(inferred, type))
        complain(node, `has type ${formatType(type)}, inference says ${formatType(inferred)}`);
    }
    const wrong = node.def.verify?.(args, node.attrs);
    if (wrong !== undefined) complain(node, wrong);
  } catch (error) {
    complain(node, (error as Error).message);
  }
}

/** Nodes that are not part of the graph may be recorded as users until the next sweep. */
function verifyUsers(nodes: readonly Node[], values: readonly Value[], complain: Complain): void {
  const live = new Set(nodes);
  for (const value of new Set(values))
    for (const user of value.users)
      if (live.has(user) && !user.operands.includes(value))
        complain(user, "is recorded as a user of a value that it does not take");
}

function verifyWrites(nodes: readonly Node[], complain: Complain): void {
  const written = new Set<Value>();
  for (const node of nodes) {
    if (node.def.mutates === undefined) continue;
    const state = node.arg(node.def.mutates);
    if (state.def.kind !== "state") complain(node, `${node.def.mutates} is not a state`);
    if (written.has(state)) complain(node, "writes a state that another node writes too");
    written.add(state);
  }
}

function sharedNames(what: string, names: readonly string[]): readonly string[] {
  const shared = new Set(names.filter((name, i) => names.indexOf(name) < i));
  return [...shared].map((name) => `several ${what} are called ${name}`);
}
