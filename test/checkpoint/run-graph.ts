import type { Graph, Value } from "../../src/ir/graph.ts";
import { readWeight } from "../../src/ir/weights.ts";
import { evaluateDim } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";

/** Runs a decoder's graph with the ops' kernels, keeping the states between calls. */
export function graphRunner(graph: Graph): (ids: readonly number[], start: number) => Promise<Tensor> {
  const states = new Map(graph.states.map((state) => [state, tensor("f32", state.type.shape as number[])]));
  return async (ids, start) => {
    const sizes = new Map([
      ["S", ids.length],
      ["P", start],
    ]);
    const results = new Map<Value, Tensor>();
    const resolve = async (value: Value): Promise<Tensor> => {
      const { def } = value;
      switch (def.kind) {
        case "node":
          return results.get(value)!;
        case "const":
          return readWeight(def.data);
        case "state":
          return states.get(value)!;
        case "dims":
          return tensor(
            "i64",
            value.type.shape as number[],
            value.contents!.map((size) => evaluateDim(size, sizes)),
          );
        case "input":
          return def.name === "tokens" ? tensor("i64", [1, ids.length], ids) : tensor("i64", [1], [start]);
      }
    };
    for (const node of graph.nodes) {
      const args: Record<string, Tensor> = {};
      for (const [name, arg] of Object.entries(node.args))
        if (arg !== undefined) args[name] = await resolve(arg as Value);
      const out = node.def.kernel(args as never, node.attrs);
      node.results.forEach((result, i) => {
        results.set(result, out[i]!);
      });
      if (node.def.mutates !== undefined) states.set(node.arg(node.def.mutates), out[0]!);
    }
    return resolve(graph.outputs[0]!.value);
  };
}

/** Op name → number of nodes. */
export function opCounts(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}
