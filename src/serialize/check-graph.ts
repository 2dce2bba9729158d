import type { ProgramGraph } from "../runtime/graph.ts";
import { sameDim } from "../tensor/dim.ts";
import type { BlobEntry } from "./blob.ts";

/**
 * What keeps a graph from being run, whatever its ops mean: indices that lead nowhere, values used before they
 * are computed or given twice, names that are not unique, constants that are not there.
 * @param blobs the program's named data
 * @returns half a sentence, or undefined when all is well
 */
export function graphFault(graph: ProgramGraph, blobs: readonly BlobEntry[]): string | undefined {
  const { values } = graph;
  const keys = new Set(blobs.map(({ key }) => key));
  const defined = new Set<number>();
  const faults: string[] = [];
  const define = (value: number, by: string): void => {
    if (values[value] === undefined) faults.push(`${by} gives value ${value} of ${values.length}`);
    if (defined.has(value)) faults.push(`value ${value} is given twice, the second time by ${by}`);
    defined.add(value);
  };
  const use = (value: number, by: string): void => {
    if (!defined.has(value)) faults.push(`${by} uses value ${value}, which nothing before it gives`);
  };

  for (const { name, value } of graph.inputs) define(value, `input ${name}`);
  for (const { name, value } of graph.states) define(value, `state ${name}`);
  for (const { value } of graph.dims) define(value, "a list of sizes");
  for (const constant of graph.constants) {
    define(constant.value, "a constant");
    if ("key" in constant) {
      if (!keys.has(constant.key)) faults.push(`there is no data ${constant.key} for a constant`);
      continue;
    }
    const type = values[constant.value];
    const { dtype, shape } = constant.inline;
    const agrees =
      type?.dtype === dtype &&
      type.shape.length === shape.length &&
      type.shape.every((d, i) => sameDim(d, shape[i]!));
    if (!agrees) faults.push(`the constant for value ${constant.value} is of another type`);
  }
  graph.nodes.forEach(({ op, args, results }, i) => {
    for (const arg of Object.values(args)) for (const value of [arg].flat()) use(value, `node ${i} (${op})`);
    for (const result of results) define(result, `node ${i} (${op})`);
  });
  for (const { name, value } of graph.outputs) use(value, `output ${name}`);
  for (const [kind, list] of Object.entries({
    input: graph.inputs,
    output: graph.outputs,
    state: graph.states,
  })) {
    const names = new Set(list.map(({ name }) => name));
    if (names.size < list.length) faults.push(`two ${kind}s have the same name`);
  }
  return faults[0];
}
