import type { VulkanGraph } from "../../../serialize/vulkan-graph.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { GraphTensor } from "./graph-tensor.ts";

/** A list of values, by their indices. */
export class ValueItems {
  readonly values: readonly number[];

  constructor(values: readonly number[]) {
    this.values = values;
  }
}

/**
 * What a value of a graph holds as the graph runs. An integer that is yet to be
 * written is NaN, which no comparison holds for.
 */
export type Content =
  | GraphTensor
  | ValueItems
  | number
  | boolean
  | string
  | null
  | readonly (number | boolean)[];

/** What the values of a graph hold, and behind them the caches that calls have of their own. */
export type Memory = Content[];

/** A kind of argument. */
export interface Kind<T, D = T> {
  readonly name: string;
  /** What a call does with it. `keep`: what it reads and changes is a copy of its own. */
  readonly access: "read" | "write" | "change" | "keep" | "ignore";
  accepts(graph: VulkanGraph, at: number): boolean;
  /** What it is as the graph runs. */
  read(memory: Memory, at: number): T;
  /** What is known of it before. */
  declared(memory: Memory, at: number): D;
}

type ValueType = VulkanGraph["values"][number]["type"];

const typeAt = ({ values }: VulkanGraph, at: number): ValueType => values[at]!.type;
const held = <T>(memory: Memory, at: number): T => memory[at] as T;

const plain = <T extends Content>(name: string, ...types: readonly ValueType[]): Kind<T> => ({
  name,
  access: "read",
  accepts: (graph, at) => types.includes(typeAt(graph, at)),
  read: held,
  declared: held,
});

const isTensor = ({ values }: VulkanGraph, at: number, isConstant: boolean): boolean => {
  const value = values[at]!;
  return value.type === "VkTensor" && (value.constant !== undefined) === isConstant;
};

/** A copy where the tensor may change in place before the copy is used. */
function elementsOf({ tensor: elements, isState }: GraphTensor): Tensor {
  return isState ? { ...elements, data: elements.data.slice() } : elements;
}

/** A tensor in the device's memory. */
export const tensor: Kind<Tensor, GraphTensor> = {
  name: "a tensor that is no constant",
  access: "read",
  accepts: (graph, at) => isTensor(graph, at, false),
  read: (memory, at) => elementsOf(held(memory, at)),
  declared: held,
};
/** Data of the program, which the op itself puts into memory. */
export const constant: Kind<Tensor, GraphTensor> = {
  ...tensor,
  name: "a constant",
  accepts: (graph, at) => isTensor(graph, at, true),
};
export const operand: Kind<Tensor, GraphTensor> = {
  ...tensor,
  name: "a tensor",
  accepts: (graph, at) => typeAt(graph, at) === "VkTensor",
};
export const graphInput: Kind<Tensor, GraphTensor> = {
  ...tensor,
  name: "an input tensor",
  accepts: (graph, at) => tensor.accepts(graph, at) && graph.inputs.includes(at),
};
/** A tensor that is read where it lies. */
export const resident: Kind<GraphTensor> = { ...tensor, read: held };
/** A tensor whose elements are changed in part. */
export const changed: Kind<GraphTensor> = { ...resident, access: "change" };
/** What a cache of the call's own begins with. */
export const cache: Kind<GraphTensor> = { ...operand, access: "keep", read: held };

export const result: Kind<GraphTensor> = { ...resident, access: "write" };

const itemsOf = (memory: Memory, at: number): readonly GraphTensor[] =>
  held<ValueItems>(memory, at).values.map((item) => held(memory, item));
export const results: Kind<readonly GraphTensor[]> = {
  name: "a list of tensors that are no constants",
  access: "write",
  accepts: (graph, at) => {
    const value = graph.values[at]!;
    return value.type === "ValueList" && value.items.every((item) => result.accepts(graph, item));
  },
  read: itemsOf,
  declared: itemsOf,
};
export const tensors: Kind<readonly Tensor[], readonly GraphTensor[]> = {
  ...results,
  access: "read",
  read: (memory, at) => itemsOf(memory, at).map(elementsOf),
};

export const writtenInt: Kind<number> = {
  ...plain<number>("an integer that is written", "SymInt"),
  access: "write",
};
export const int = plain<number>("an int", "Int");
/** An int, or one that is written as the graph runs. */
export const size = plain<number>("an int", "Int", "SymInt");
export const number = plain<number>("a number", "Int", "Double");
export const bool = plain<boolean>("a bool", "Bool");
/** A bool, for which an int may stand. */
export const flag: Kind<boolean> = {
  ...bool,
  accepts: (graph, at) => bool.accepts(graph, at) || int.accepts(graph, at),
  read: (memory, at) => Boolean(memory[at]),
  declared: (memory, at) => Boolean(memory[at]),
};
export const text = plain<string>("a string", "String");
export const none = plain<null>("none", "Null");
/** Any value but a tensor, which is not looked at. */
export const ignored: Kind<null> = {
  name: "no tensor",
  access: "ignore",
  accepts: (graph, at) => typeAt(graph, at) !== "VkTensor",
  read: () => null,
  declared: () => null,
};
/** Any value, which is not looked at. */
export const anything: Kind<null> = { ...ignored, name: "a value", accepts: () => true };

function sizesAt(memory: Memory, at: number): readonly number[] {
  const list = memory[at];
  return list instanceof ValueItems
    ? list.values.map((item) => held<number>(memory, item))
    : held(memory, at);
}

/** A list of ints, which are the items themselves, or of values that are ints. */
export const sizes: Kind<readonly number[]> = {
  name: "a list of ints",
  access: "read",
  accepts: (graph, at) => {
    const value = graph.values[at]!;
    return (
      value.type === "IntList" ||
      (value.type === "ValueList" && value.items.every((item) => size.accepts(graph, item)))
    );
  },
  read: sizesAt,
  declared: sizesAt,
};

export const optional = <T, D>(kind: Kind<T, D>): Kind<T | null, D | null> => ({
  ...kind,
  name: `${kind.name} or none`,
  accepts: (graph, at) => typeAt(graph, at) === "Null" || kind.accepts(graph, at),
  read: (memory, at) => (memory[at] === null ? null : kind.read(memory, at)),
  declared: (memory, at) => (memory[at] === null ? null : kind.declared(memory, at)),
});
