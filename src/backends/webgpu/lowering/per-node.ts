import { isList, type Node, type Value } from "../../../ir/graph.ts";
import { normalizeAxis } from "../../../ir/ops/shapes.ts";
import { type Operand, unsupportedDType } from "../operands.ts";
import type { Slice } from "./buffers.ts";
import type { Emitter } from "./emitter.ts";
import { type Group, groupOfOne, type Lowering } from "./group.ts";

// For ops one by one, in graphs or parts of graphs that nothing recognised: a dispatch each, made to be right.

/** A lowering of some ops to a group of one node each. */
export const perNode = (
  name: string,
  doc: string,
  ops: readonly string[] | ((node: Node) => boolean),
  emit: (emitter: Emitter, node: Node) => void,
  refusal?: (node: Node) => string | undefined,
): Lowering => ({
  name,
  doc,
  match(node): Group | string | undefined {
    if (!(typeof ops === "function" ? ops(node) : ops.includes(node.op))) return undefined;
    const why = refusalOfOperands(node) ?? refusal?.(node);
    return why ?? groupOfOne(name, node, (emitter) => emit(emitter, node));
  },
});

/** What a node computes with, without what only says how. */
export const dataOf = ({ args, def }: Node): readonly Value[] =>
  Object.entries(args).flatMap(([name, arg]) =>
    arg === undefined || def.sizes?.includes(name) ? [] : isList(arg) ? arg : [arg],
  );

function refusalOfOperands(node: Node): string | undefined {
  const data = dataOf(node);
  if (data.some(({ def }) => def.kind === "dims")) return "It computes with sizes as data.";
  return unsupportedDType([...data, ...node.results].map(({ type }) => type.dtype));
}

export function operandOf(emitter: Emitter, value: Value, earlier: readonly Value[] = []): Operand {
  const same = earlier.indexOf(value);
  return {
    shape: emitter.shape(value),
    dtype: value.type.dtype,
    constant: value.def.kind === "const",
    ...(same >= 0 && { sameAs: same }),
  };
}

/** Operands by the names of their bindings. */
export function bind(emitter: Emitter, names: readonly string[], values: readonly Value[]) {
  const operands = values.map((value, i) => operandOf(emitter, value, values.slice(0, i)));
  const slices: Record<string, Slice> = {};
  values.forEach((value, i) => {
    if (operands[i]!.sameAs === undefined) slices[names[i]!] = emitter.read(value);
  });
  return { operands, slices };
}

export const axesOf = (node: Node, axes: readonly number[]): readonly number[] =>
  axes.map((axis) => normalizeAxis(axis, node.arg("x").type.shape.length));

export const unknownSizes = "A size that it takes is computed while the program runs.";
