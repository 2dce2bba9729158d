import { Builder, type Offset } from "flatbuffers";
import * as vk from "./generated/write/vkgraph.ts";
import type { EnumMember } from "./program.ts";
import {
  noOffset,
  type VulkanCall,
  type VulkanConstant,
  type VulkanGraph,
  type VulkanTensor,
  type VulkanValue,
} from "./vulkan-graph.ts";

/**
 * The flatbuffer of a Vulkan delegate's graph. Lists are written even when they are empty: ExecuTorch follows their
 * offsets unasked.
 */
export function encodeVulkanGraph(graph: VulkanGraph): Uint8Array {
  const { VkGraph } = vk;
  const b = new Builder(4096);
  const version = b.createString(graph.version);
  const chain = VkGraph.createChainVector(
    b,
    graph.calls.map((call) => encodeCall(b, call)),
  );
  const values = VkGraph.createValuesVector(
    b,
    graph.values.map((value) =>
      vk.VkValue.createVkValue(b, vk.GraphTypes[value.type], encodeValue(b, value)),
    ),
  );
  const inputs = VkGraph.createInputIdsVector(b, [...graph.inputs]);
  const outputs = VkGraph.createOutputIdsVector(b, [...graph.outputs]);
  const constants = VkGraph.createConstantsVector(
    b,
    graph.constants.map((constant) => encodeConstant(b, constant)),
  );
  const shaders = VkGraph.createShadersVector(b, []);
  const root = VkGraph.createVkGraph(
    b,
    version,
    chain,
    values,
    inputs,
    outputs,
    constants,
    shaders,
    enumNumber(vk.VkStorageType, graph.storage),
    enumNumber(vk.VkMemoryLayout, graph.layout),
  );
  VkGraph.finishVkGraphBuffer(b, root);
  return b.asUint8Array();
}

const enumNumber = <E extends object>(members: E, member: EnumMember<E>): number =>
  typeof member === "number" ? member : (members[member] as number);

function encodeCall(b: Builder, { id, op, args }: VulkanCall): Offset {
  const name = b.createSharedString(op);
  return vk.OperatorCall.createOperatorCall(b, id, name, vk.OperatorCall.createArgsVector(b, [...args]));
}

function encodeValue(b: Builder, value: VulkanValue): Offset {
  switch (value.type) {
    case "Null":
      vk.Null.startNull(b);
      return vk.Null.endNull(b);
    case "Int":
      return vk.Int.createInt(b, BigInt(value.value));
    case "Bool":
      return vk.Bool.createBool(b, value.value);
    case "Double": {
      b.forceDefaults(true); // -0 equals the default 0
      const table = vk.Double.createDouble(b, value.value);
      b.forceDefaults(false);
      return table;
    }
    case "String":
      return vk.String.createString(b, b.createString(value.value));
    case "SymInt":
      return vk.SymInt.createSymInt(b, value.value);
    case "VkTensor":
      return encodeTensor(b, value);
    case "IntList":
      return vk.IntList.createIntList(b, vk.IntList.createItemsVector(b, value.items.map(BigInt)));
    case "DoubleList":
      return vk.DoubleList.createDoubleList(b, vk.DoubleList.createItemsVector(b, [...value.items]));
    case "BoolList":
      return vk.BoolList.createBoolList(b, vk.BoolList.createItemsVector(b, [...value.items]));
    case "ValueList":
      return vk.ValueList.createValueList(b, vk.ValueList.createItemsVector(b, [...value.items]));
  }
}

const encodeTensor = (b: Builder, tensor: VulkanTensor): Offset =>
  vk.VkTensor.createVkTensor(
    b,
    enumNumber(vk.VkDataType, tensor.dataType),
    vk.VkTensor.createDimsVector(b, [...tensor.dims]),
    tensor.constant ?? -1,
    tensor.memoryObject ?? -1,
    enumNumber(vk.VkStorageType, tensor.storage),
    enumNumber(vk.VkMemoryLayout, tensor.layout),
    enumNumber(vk.VkDataType, tensor.stagingDataType),
  );

function encodeConstant(b: Builder, constant: VulkanConstant): Offset {
  const length = BigInt(constant.length);
  return "key" in constant
    ? vk.VkBytes.createVkBytes(b, noOffset, length, b.createString(constant.key))
    : vk.VkBytes.createVkBytes(b, BigInt(constant.offset), length, 0);
}
