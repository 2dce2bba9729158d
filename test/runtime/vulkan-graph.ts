import { BitnetcError } from "../../src/errors.ts";
import { type LoadedGraph, loadGraph } from "../../src/runtime/cpu/vulkan/load-graph.ts";
import { type GraphFaults, resolveGraph } from "../../src/runtime/cpu/vulkan/resolve-graph.ts";
import type { VulkanGraph, VulkanTensor, VulkanValue } from "../../src/serialize/vulkan-graph.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { encodeElements, type Tensor, tensor } from "../../src/tensor/tensor.ts";

const dataTypes: { readonly [D in DType]?: VulkanTensor["dataType"] } = {
  f32: "FLOAT32",
  f16: "FLOAT16",
  i64: "INT64",
  i32: "INT32",
  i8: "INT8",
  u8: "UINT8",
  bool: "BOOL",
};

/** Writes graphs by hand: each method gives the index of the value that it adds. */
export class GraphWriter {
  readonly values: VulkanValue[] = [];
  readonly calls: VulkanGraph["calls"][number][] = [];
  /** The named data of constants. */
  readonly data: Record<string, Uint8Array> = {};
  readonly #lengths: VulkanGraph["constants"][number][] = [];

  add(value: VulkanValue): number {
    return this.values.push(value) - 1;
  }
  none = (): number => this.add({ type: "Null" });
  int = (value: number | bigint): number => this.add({ type: "Int", value });
  symbol = (): number => this.add({ type: "SymInt", value: 0 });
  double = (value: number): number => this.add({ type: "Double", value });
  bool = (value: boolean): number => this.add({ type: "Bool", value });
  text = (value: string): number => this.add({ type: "String", value });
  ints = (...items: number[]): number => this.add({ type: "IntList", items });
  list = (...items: number[]): number => this.add({ type: "ValueList", items });

  tensor(dtype: DType, dims: readonly number[], more: Partial<VulkanTensor> = {}): number {
    return this.add({
      type: "VkTensor",
      dataType: dataTypes[dtype]!,
      dims,
      storage: "BUFFER",
      layout: "TENSOR_WIDTH_PACKED",
      stagingDataType: "UNSET",
      ...more,
    });
  }

  constant({ dtype, shape, data }: Tensor, more: Partial<VulkanTensor> = {}): number {
    const bytes = encodeElements(dtype, data);
    const key = `data ${this.#lengths.length}`;
    this.data[key] = bytes;
    const constant = this.#lengths.push({ key, length: bytes.length }) - 1;
    return this.tensor(dtype, shape, { constant, ...more });
  }

  /** A constant in memory. */
  resident(value: Tensor, more: Partial<VulkanTensor> = {}): number {
    const target = this.tensor(value.dtype, value.shape, more);
    this.call("et_vk.prepack.default", this.constant(value), target);
    return target;
  }

  call(op: string, ...args: number[]): void {
    this.calls.push({ id: this.calls.length, op, args });
  }

  graph(inputs: readonly number[], outputs: readonly number[]): VulkanGraph {
    const { values, calls } = this;
    return {
      ...{ version: "0", values, calls, inputs, outputs },
      constants: this.#lengths,
      storage: "DEFAULT_STORAGE",
      layout: "DEFAULT_LAYOUT",
    };
  }

  faults = (inputs: readonly number[], outputs: readonly number[]): GraphFaults =>
    resolveGraph(this.graph(inputs, outputs), "the graph").faults;

  async load(inputs: readonly number[], outputs: readonly number[]): Promise<LoadedGraph> {
    const graph = this.graph(inputs, outputs);
    const { resolved, faults } = resolveGraph(graph, "the graph");
    const all = [...faults.missing.keys(), ...faults.malformed];
    if (all.length > 0) throw new Error(all.join("; "));
    return loadGraph(resolved, async (i) => this.data[(graph.constants[i] as { key: string }).key]!);
  }
}

export const f32 = (shape: readonly number[], ...data: number[]): Tensor => tensor("f32", shape, data);
export const i32 = (shape: readonly number[], ...data: number[]): Tensor => tensor("i32", shape, data);
export const i64 = (shape: readonly number[], ...data: number[]): Tensor => tensor("i64", shape, data);
export const bool = (shape: readonly number[], ...data: number[]): Tensor => tensor("bool", shape, data);
export const elements = (value: Tensor | undefined): number[] => [...value!.data];
/** 0, 1, 2 and so on, or multiples of a step. */
export const range = (count: number, step = 1): number[] => Array.from({ length: count }, (_, i) => i * step);

export const problemOf = async (work: () => unknown): Promise<BitnetcError> => {
  try {
    await work();
  } catch (error) {
    if (error instanceof BitnetcError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};
