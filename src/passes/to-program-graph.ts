import { type Graph, isList, type Value } from "../ir/graph.ts";
import type { WeightRef } from "../ir/weights.ts";
import type { ProgramConstant, ProgramGraph, ProgramNode } from "../runtime/graph.ts";

interface ProgramParts {
  readonly graph: ProgramGraph;
  /** The constants that the graph names by key, in the order of their keys. */
  readonly weights: ReadonlyMap<string, WeightRef>;
  /** Which of the graph's values a value is. */
  readonly numbers: ReadonlyMap<Value, number>;
}

/**
 * The graph as plain data. Values are numbered inputs first, then states, then in the order in which nodes use
 * or compute them; small constants are put in, the others get the keys `w0`, `w1`, … in order of first use, and
 * equal ones share a key. The same graph always gives the same result.
 */
export function toProgramGraph(graph: Graph): ProgramParts {
  const numbers = new Map<Value, number>();
  const values: ProgramGraph["values"][number][] = [];
  const constants: ProgramConstant[] = [];
  const dims: ProgramGraph["dims"][number][] = [];
  const weights = new Map<string, WeightRef>();
  const keys = new Map<string, string>();

  const keyOf = (data: WeightRef): string => {
    let key = keys.get(data.id);
    if (key === undefined) {
      key = `w${keys.size}`;
      keys.set(data.id, key);
      weights.set(key, data);
    }
    return key;
  };
  const numberOf = (value: Value): number => {
    const known = numbers.get(value);
    if (known !== undefined) return known;
    const number = values.length;
    numbers.set(value, number);
    values.push(value.type);
    if (value.def.kind === "const") {
      const { data } = value.def;
      constants.push(
        data.inline ? { value: number, inline: data.inline } : { value: number, key: keyOf(data) },
      );
    }
    if (value.def.kind === "dims") dims.push({ value: number, sizes: value.contents ?? [] });
    return number;
  };

  const inputs = graph.inputs.map((input) => ({
    name: nameOf(input),
    value: numberOf(input),
    ...(input.contents === undefined ? {} : { contents: input.contents }),
  }));
  const states = graph.states.map((state) => ({ name: nameOf(state), value: numberOf(state) }));
  const nodes = graph.nodes.map((node): ProgramNode => {
    const args: Record<string, number | readonly number[]> = {};
    for (const [name, arg] of Object.entries(node.args))
      if (arg !== undefined) args[name] = isList(arg) ? arg.map(numberOf) : numberOf(arg);
    return {
      op: node.op,
      args,
      attrs: node.attrs,
      results: node.results.map(numberOf),
      source: node.loc.source,
    };
  });
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: numberOf(value) }));
  return { graph: { values, inputs, outputs, states, constants, dims, nodes }, weights, numbers };
}

function nameOf({ def }: Value): string {
  if (def.kind !== "input" && def.kind !== "state") throw new Error(`a ${def.kind} has no name`);
  return def.name;
}
