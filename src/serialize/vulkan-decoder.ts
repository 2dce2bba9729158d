import type { ByteBuffer } from "flatbuffers";
import { index, numbers, required, vector } from "./checked-buffer.ts";
import * as vk from "./generated/read/vkgraph.ts";
import { sizeOf } from "./header.ts";
import type { EnumMember } from "./program.ts";
import type { VulkanConstant, VulkanGraph, VulkanTensor, VulkanValue } from "./vulkan-graph.ts";

/** The offset of a constant that is named data. */
const noOffset = 2n ** 64n - 1n;

/**
 * @param constantBytes how many bytes of constants the blob has
 * @throws RangeError with half a sentence for what does not fit the schema, and for an index that leads nowhere
 */
export function decodeVulkanGraph(buffer: ByteBuffer, constantBytes: number): VulkanGraph {
  const graph = vk.VkGraph.getRootAsVkGraph(buffer);
  const valueCount = graph.valuesLength();
  const constantCount = graph.constantsLength();
  const indices = (elements: ArrayLike<number> | null): number[] =>
    numbers(elements).map((value) => index(value, valueCount, "value"));
  return {
    version: graph.version() ?? "",
    calls: vector(graph.chainLength(), (i) => graph.chain(i)).map((call) => ({
      id: call.nodeId(),
      op: required(call.name(), "the name of an op"),
      args: indices(call.argsArray()),
    })),
    values: vector(valueCount, (i) => graph.values(i)).map((value, i) =>
      decodeValue(value, i, constantCount),
    ),
    inputs: indices(graph.inputIdsArray()),
    outputs: indices(graph.outputIdsArray()),
    constants: vector(constantCount, (i) => graph.constants(i)).map((bytes) =>
      decodeConstant(bytes, constantBytes),
    ),
    storage: enumName(vk.VkStorageType, graph.storageTypeOverride()),
    layout: enumName(vk.VkMemoryLayout, graph.memoryLayoutOverride()),
  };
}

const enumName = <E extends object>(members: E, number: number): EnumMember<E> =>
  ((members as Readonly<Record<number, string>>)[number] as EnumMember<E> | undefined) ?? number;

const integer = (value: bigint): number | bigint => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

function decodeValue(value: vk.VkValue, at: number, constantCount: number): VulkanValue {
  const kind = vk.GraphTypes[value.valueType()] as keyof typeof vk.GraphTypes | undefined;
  const table = <T>(empty: T): T => required(value.value(empty) as T | null, "a value");
  const items = <T>(list: { itemsLength(): number; items(i: number): T | null }): T[] =>
    vector(list.itemsLength(), (i) => list.items(i));
  switch (kind) {
    case "Null":
      return { type: kind };
    case "Int":
      return { type: kind, value: integer(table(new vk.Int()).intVal()) };
    case "Bool":
      return { type: kind, value: table(new vk.Bool()).boolVal() };
    case "Double":
      return { type: kind, value: table(new vk.Double()).doubleVal() };
    case "String":
      return { type: kind, value: table(new vk.String()).stringVal() ?? "" };
    case "SymInt":
      return { type: kind, value: table(new vk.SymInt()).value() };
    case "VkTensor":
      return { type: kind, ...decodeTensor(table(new vk.VkTensor()), constantCount) };
    case "IntList":
      return { type: kind, items: items(table(new vk.IntList())).map(integer) };
    case "DoubleList":
      return { type: kind, items: items(table(new vk.DoubleList())) };
    case "BoolList":
      return { type: kind, items: items(table(new vk.BoolList())) };
    case "ValueList":
      return {
        type: kind,
        items: items(table(new vk.ValueList())).map((item) => index(item, at, "earlier value")),
      };
    default:
      throw new RangeError(`it has a value of the unknown type ${value.valueType()}`);
  }
}

function decodeTensor(tensor: vk.VkTensor, constantCount: number): VulkanTensor {
  const constant = tensor.constantId();
  const memoryObject = tensor.memObjId();
  return {
    dataType: enumName(vk.VkDataType, tensor.datatype()),
    dims: numbers(tensor.dimsArray()),
    ...(constant === -1 ? {} : { constant: index(constant, constantCount, "constant") }),
    ...(memoryObject === -1 ? {} : { memoryObject }),
    storage: enumName(vk.VkStorageType, tensor.storageType()),
    layout: enumName(vk.VkMemoryLayout, tensor.memoryLayout()),
    stagingDataType: enumName(vk.VkDataType, tensor.stagingDatatype()),
  };
}

function decodeConstant(bytes: vk.VkBytes, constantBytes: number): VulkanConstant {
  const length = sizeOf(bytes.length());
  if (bytes.offset() === noOffset)
    return { key: required(bytes.namedKey(), "the key of a constant"), length };
  const offset = sizeOf(bytes.offset());
  if (offset + length > constantBytes)
    throw new RangeError(`a constant ends at ${offset + length} of ${constantBytes} bytes`);
  return { offset, length };
}
