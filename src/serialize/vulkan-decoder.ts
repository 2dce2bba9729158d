import { type CheckedBuffer, index, required } from "./checked-buffer.ts";
import * as vk from "./generated/read/vkgraph.ts";
import { sizeOf } from "./header.ts";
import type { EnumMember } from "./program.ts";
import { type Field, rootOf } from "./table.ts";
import {
  noOffset,
  type VulkanConstant,
  type VulkanGraph,
  type VulkanTensor,
  type VulkanValue,
} from "./vulkan-graph.ts";

/**
 * @param constantBytes how many bytes of constants the blob has
 * @throws RangeError with half a sentence for what does not fit the schema, and for an index that leads nowhere
 */
export function decodeVulkanGraph(buffer: CheckedBuffer, constantBytes: number): VulkanGraph {
  const graph = rootOf(buffer, vk.VkGraph);
  const valueCount = graph.values.length;
  const constantCount = graph.constants.length;
  const indices = (elements: readonly number[] | null): number[] =>
    (elements ?? []).map((value) => index(value, valueCount, "value"));
  return {
    version: graph.version ?? "",
    calls: graph.chain.map((call) => ({
      id: call.nodeId,
      op: required(call.name, "the name of an op"),
      args: indices(call.args),
    })),
    values: graph.values.map((value, i) => decodeValue(value, i, constantCount)),
    inputs: indices(graph.inputIds),
    outputs: indices(graph.outputIds),
    constants: graph.constants.map((bytes) => decodeConstant(bytes, constantBytes)),
    storage: enumName(vk.VkStorageType, graph.storageTypeOverride),
    layout: enumName(vk.VkMemoryLayout, graph.memoryLayoutOverride),
  };
}

const enumName = <E extends object>(members: E, number: number): EnumMember<E> =>
  ((members as Readonly<Record<number, string>>)[number] as EnumMember<E> | undefined) ?? number;

const integer = (value: bigint): number | bigint => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

function decodeValue(value: vk.VkValue, at: number, constantCount: number): VulkanValue {
  const kind = vk.GraphTypes[value.valueType] as keyof typeof vk.GraphTypes | undefined;
  const table = <T>(field: Field<T | null>): T => required(value.value(field), "a value");
  const items = <T>(list: { readonly items: readonly T[] | null }): readonly T[] => list.items ?? [];
  switch (kind) {
    case "Null":
      return { type: kind };
    case "Int":
      return { type: kind, value: integer(table(vk.Int).intVal) };
    case "Bool":
      return { type: kind, value: table(vk.Bool).boolVal };
    case "Double":
      return { type: kind, value: table(vk.Double).doubleVal };
    case "String":
      return { type: kind, value: table(vk.String).stringVal ?? "" };
    case "SymInt":
      return { type: kind, value: table(vk.SymInt).value };
    case "VkTensor":
      return { type: kind, ...decodeTensor(table(vk.VkTensor), constantCount) };
    case "IntList":
      return { type: kind, items: items(table(vk.IntList)).map(integer) };
    case "DoubleList":
      return { type: kind, items: items(table(vk.DoubleList)) };
    case "BoolList":
      return { type: kind, items: items(table(vk.BoolList)) };
    case "ValueList":
      return {
        type: kind,
        items: items(table(vk.ValueList)).map((item) => index(item, at, "earlier value")),
      };
    default:
      throw new RangeError(`it has a value of the unknown type ${value.valueType}`);
  }
}

function decodeTensor(tensor: vk.VkTensor, constantCount: number): VulkanTensor {
  const constant = tensor.constantId;
  const memoryObject = tensor.memObjId;
  return {
    dataType: enumName(vk.VkDataType, tensor.datatype),
    dims: tensor.dims ?? [],
    ...(constant === -1 ? {} : { constant: index(constant, constantCount, "constant") }),
    ...(memoryObject === -1 ? {} : { memoryObject }),
    storage: enumName(vk.VkStorageType, tensor.storageType),
    layout: enumName(vk.VkMemoryLayout, tensor.memoryLayout),
    stagingDataType: enumName(vk.VkDataType, tensor.stagingDatatype),
  };
}

function decodeConstant(bytes: vk.VkBytes, constantBytes: number): VulkanConstant {
  const length = sizeOf(bytes.length);
  if (bytes.offset === noOffset) return { key: required(bytes.namedKey, "the key of a constant"), length };
  const offset = sizeOf(bytes.offset);
  if (offset + length > constantBytes)
    throw new RangeError(`a constant ends at ${offset + length} of ${constantBytes} bytes`);
  return { offset, length };
}
