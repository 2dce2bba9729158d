import type {
  VulkanConstant as ConstantEntry,
  VulkanGraph,
  VulkanValue,
} from "../../serialize/vulkan-graph.ts";
import { maxOf } from "../../tensor/dim.ts";
import { keyOf } from "./emitter.ts";
import { shareMemory } from "./memory.ts";
import { schemas } from "./operators.ts";
import type { ArgTypes, Int, VulkanCalls, VulkanConstant, VulkanTensor } from "./value.ts";

/** The key and the length in bytes of a constant's data in the program. */
type NameOf = (key: string) => { readonly key: string; readonly length: number };

/** Numbers the values of a delegate's calls, and gives tensors their memory. */
export function toVulkanGraph(calls: VulkanCalls, nameOf: NameOf): VulkanGraph {
  const values = new Values(shareMemory(calls), nameOf);
  const inputs = calls.inputs.map((input) => values.tensor(input));
  const chain = calls.calls.map(({ op, args, result }, id) => {
    const kinds = Object.values(schemas[op]);
    const numbers = args.map((arg, i) => values.arg(kinds[i]!, arg));
    const last = Array.isArray(result)
      ? values.arg("tensors", result)
      : values.arg("tensor", result as never);
    return { id, op, args: [...numbers, last] };
  });
  return {
    version: "0",
    calls: chain,
    values: values.all,
    inputs,
    outputs: calls.outputs.map((output) => values.tensor(output)),
    constants: values.constants,
    storage: "DEFAULT_STORAGE",
    layout: "DEFAULT_LAYOUT",
  };
}

/** The values of a graph, each once. */
class Values {
  readonly all: VulkanValue[] = [];
  readonly constants: ConstantEntry[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #memory: ReadonlyMap<number, number>;
  readonly #nameOf: NameOf;

  constructor(memory: ReadonlyMap<number, number>, nameOf: NameOf) {
    this.#memory = memory;
    this.#nameOf = nameOf;
  }

  arg(kind: string, arg: ArgTypes[keyof ArgTypes]): number {
    if (arg === undefined) return this.#once("null", () => ({ type: "Null" }));
    if (typeof arg === "boolean") return this.#once(`bool ${arg}`, () => ({ type: "Bool", value: arg }));
    if (typeof arg === "string") return this.#once(`string ${arg}`, () => ({ type: "String", value: arg }));
    if (typeof arg === "number")
      return kind.startsWith("double")
        ? this.#once(`double ${Object.is(arg, -0) ? "-0" : arg}`, () => ({ type: "Double", value: arg }))
        : this.#int(arg);
    if (isList(arg)) return this.#list(kind, arg);
    if (arg.kind === "constant") return this.#constant(arg);
    return arg.kind === "tensor" ? this.tensor(arg) : this.#int(arg);
  }

  tensor({ id, dtype, shape }: VulkanTensor): number {
    const memoryObject = this.#memory.get(id);
    return this.#once(`tensor ${id}`, () => ({
      type: "VkTensor",
      dataType: dtype === "f32" ? "FLOAT32" : "INT32",
      dims: shape.map(maxOf),
      ...(memoryObject !== undefined && { memoryObject }),
      ...dense,
    }));
  }

  #constant({ weight, copy }: VulkanConstant): number {
    const key = keyOf(weight);
    return this.#once(`constant ${key} ${copy}`, () => ({
      type: "VkTensor",
      dataType: constantTypes[weight.dtype] ?? unknownType(weight.dtype),
      dims: weight.shape,
      constant: this.#data(this.#nameOf(key)),
      ...dense,
    }));
  }

  /** Data of the program, each once. */
  #data(entry: { readonly key: string; readonly length: number }): number {
    const known = this.constants.findIndex((each) => "key" in each && each.key === entry.key);
    return known >= 0 ? known : this.constants.push(entry) - 1;
  }

  #int(int: Int): number {
    if (typeof int === "number") return this.#once(`int ${int}`, () => ({ type: "Int", value: int }));
    return this.#once(`computed ${int.id}`, () => ({ type: "SymInt", value: 0 }));
  }

  /** Integers that are all known are a list of their own kind. */
  #list(kind: string, list: readonly (Int | VulkanTensor)[]): number {
    const numbers = list.filter((item) => typeof item === "number");
    if (kind === "ints" && numbers.length === list.length)
      return this.#once(`ints ${numbers.join()}`, () => ({ type: "IntList", items: numbers }));
    const items = list.map((item) => this.arg(kind, item));
    return this.#once(`list ${items.join()}`, () => ({ type: "ValueList", items }));
  }

  /** Items of lists come before the lists. */
  #once(key: string, make: () => VulkanValue): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.all.push(make()) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/** Said for each tensor, since what a runtime takes by default is another for each device. */
const dense = {
  storage: "BUFFER",
  layout: "TENSOR_WIDTH_PACKED",
  stagingDataType: "UNSET",
} as const;

const constantTypes: Readonly<Record<string, "FLOAT32" | "UINT8">> = { f32: "FLOAT32", u8: "UINT8" };

function unknownType(dtype: string): never {
  throw new Error(`there are no constants of ${dtype} in a delegate`);
}

const isList = (arg: ArgTypes[keyof ArgTypes]): arg is readonly Int[] | readonly VulkanTensor[] =>
  Array.isArray(arg);
