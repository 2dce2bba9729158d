import type { Graph, Value } from "../../../ir/graph.ts";
import { alignUp } from "../../../tensor/align.ts";
import { type Dim, maxOf, substituteDim } from "../../../tensor/dim.ts";
import type { ConstantPool, Memory } from "./buffers.ts";
import type { SharedMemory } from "./emitter.ts";

/**
 * The memory of a graph's inputs, states and outputs, at their largest for calls of `callSize` tokens. An output that is
 * another value in another shape is that value's memory.
 */
export function sharedMemory(
  graph: Graph,
  constants: ConstantPool,
  callSize: number,
): SharedMemory & { readonly callSize: number } {
  const by = new Map<string, Dim>([["S", callSize]]);
  const bytes = ({ type }: Value): number =>
    alignUp(4 * type.shape.reduce<number>((product, dim) => product * maxOf(substituteDim(dim, by)), 1), 16);
  const named = (kind: "input" | "state", values: readonly Value[]) =>
    new Map(
      values.map((value): [Value, Memory] => [value, { kind, name: nameOf(value), size: bytes(value) }]),
    );
  return {
    callSize,
    constants,
    inputs: named("input", graph.inputs),
    states: named("state", graph.states),
    outputs: new Map(
      graph.outputs.map(({ name, value }): [Value, Memory] => [
        origin(value),
        { kind: "output", name, size: bytes(value) },
      ]),
    ),
  };
}

const nameOf = ({ def }: Value): string => {
  if (def.kind !== "input" && def.kind !== "state") throw new Error(`a ${def.kind} has no name`);
  return def.name;
};

/** The value that another is only a shape of. */
export function origin(value: Value): Value {
  let at = value;
  while (at.node?.op === "reshape") at = at.node.arg("x");
  return at;
}
