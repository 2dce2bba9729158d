import type { VkDataType } from "./generated/read/vkgraph/vk-data-type.ts";
import type { VkMemoryLayout } from "./generated/read/vkgraph/vk-memory-layout.ts";
import type { VkStorageType } from "./generated/read/vkgraph/vk-storage-type.ts";
import type { EnumMember } from "./program.ts";

/**
 * The graph of a Vulkan delegate (schemas/vulkan.fbs) as plain data: values and constants by index, an enum's
 * member by its name, or its number where the schema has no name for it.
 */
export interface VulkanGraph {
  readonly version: string;
  readonly calls: readonly VulkanCall[];
  readonly values: readonly VulkanValue[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly constants: readonly VulkanConstant[];
  readonly storage: EnumMember<typeof VkStorageType>;
  readonly layout: EnumMember<typeof VkMemoryLayout>;
}

export interface VulkanCall {
  readonly id: number;
  readonly op: string;
  /** The op's arguments in the order of its signature, then what it writes. */
  readonly args: readonly number[];
}

export type VulkanValue =
  | { readonly type: "Null" }
  /** An integer that a number cannot hold exactly is a bigint. */
  | { readonly type: "Int"; readonly value: number | bigint }
  | { readonly type: "Bool"; readonly value: boolean }
  | { readonly type: "Double"; readonly value: number }
  | { readonly type: "String"; readonly value: string }
  | ({ readonly type: "VkTensor" } & VulkanTensor)
  | { readonly type: "IntList"; readonly items: readonly (number | bigint)[] }
  | { readonly type: "DoubleList"; readonly items: readonly number[] }
  | { readonly type: "BoolList"; readonly items: readonly boolean[] }
  /** Indices of values before this one. */
  | { readonly type: "ValueList"; readonly items: readonly number[] }
  /** Written when the graph runs. */
  | { readonly type: "SymInt"; readonly value: number };

export interface VulkanTensor {
  readonly dataType: EnumMember<typeof VkDataType>;
  /** Upper bounds where sizes change. */
  readonly dims: readonly number[];
  /** An index into the graph's constants. */
  readonly constant?: number;
  /** Tensors of one number share memory. */
  readonly memoryObject?: number;
  readonly storage: EnumMember<typeof VkStorageType>;
  readonly layout: EnumMember<typeof VkMemoryLayout>;
  readonly stagingDataType: EnumMember<typeof VkDataType>;
}

/** In the file, the offset of a constant that is named data. */
export const noOffset = 2n ** 64n - 1n;

/** Named data of the program, or bytes of the blob, counted from where its constants begin. */
export type VulkanConstant =
  | { readonly key: string; readonly length: number }
  | { readonly offset: number; readonly length: number };
