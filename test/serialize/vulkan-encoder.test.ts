import { expect, test } from "vitest";
import { decodeFlatbuffer } from "../../src/serialize/checked-buffer.ts";
import { readVulkanBlob } from "../../src/serialize/vulkan-blob.ts";
import { writeVulkanBlob } from "../../src/serialize/vulkan-blob-writer.ts";
import { decodeVulkanGraph } from "../../src/serialize/vulkan-decoder.ts";
import { encodeVulkanGraph } from "../../src/serialize/vulkan-encoder.ts";
import type { VulkanGraph, VulkanValue } from "../../src/serialize/vulkan-graph.ts";
import { byteRange, bytesSource } from "../../src/tensor/source.ts";
import { fromJson, toJson } from "./flatc.ts";
import { vulkanConstants, vulkanGraph } from "./stock-program.ts";

const decode = (bytes: Uint8Array): VulkanGraph =>
  decodeFlatbuffer("graph", bytes, (buffer) => decodeVulkanGraph(buffer, vulkanConstants.length));

const tensor = {
  type: "VkTensor",
  dataType: "FLOAT32",
  dims: [2, 3],
  storage: "BUFFER",
  layout: "TENSOR_WIDTH_PACKED",
  stagingDataType: "UNSET",
} as const;

const graphOf = (values: readonly VulkanValue[], more: Partial<VulkanGraph> = {}): VulkanGraph => ({
  version: "0",
  calls: [],
  values,
  inputs: [],
  outputs: [],
  constants: [],
  storage: "DEFAULT_STORAGE",
  layout: "DEFAULT_LAYOUT",
  ...more,
});

test("a graph with one of everything is what the flatbuffers compiler makes of it", () => {
  const stock = fromJson("vulkan", vulkanGraph);
  const graph = decode(stock);
  const bytes = encodeVulkanGraph(graph);
  expect(decode(bytes)).toEqual(graph);
  expect(toJson("vulkan", bytes)).toEqual(toJson("vulkan", stock));
});

test("every list is there, and every union has its table", () => {
  const lists = (["IntList", "DoubleList", "BoolList", "ValueList"] as const).map((type) => ({
    type,
    items: [],
  }));
  const values: readonly VulkanValue[] = [
    { type: "Null" },
    { type: "Int", value: 0 },
    { type: "Bool", value: false },
    { type: "Double", value: 0 },
    { type: "String", value: "" },
    { type: "SymInt", value: 0 },
    { ...tensor, dims: [] },
    ...lists,
  ];
  const json = (graph: VulkanGraph) => toJson("vulkan", encodeVulkanGraph(graph));
  expect(json(graphOf([]))).toEqual({
    version: "0",
    chain: [],
    values: [],
    input_ids: [],
    output_ids: [],
    constants: [],
    shaders: [],
  });
  const call = { id: 7, op: "aten.abs.default", args: [] };
  expect(json(graphOf(values, { calls: [call] }))).toMatchObject({
    chain: [{ node_id: 7, name: "aten.abs.default", args: [] }],
    values: [
      { value_type: "Null", value: {} },
      { value_type: "Int", value: {} },
      { value_type: "Bool", value: {} },
      { value_type: "Double", value: {} },
      { value_type: "String", value: { string_val: "" } },
      { value_type: "SymInt", value: {} },
      { value_type: "VkTensor", value: { dims: [] } },
      ...lists.map(({ type }) => ({ value_type: type, value: { items: [] } })),
    ],
  });
});

test("a tensor that is no constant says so, and one that shares memory", () => {
  const bytes = encodeVulkanGraph(
    graphOf([tensor, { ...tensor, constant: 0 }, { ...tensor, memoryObject: 3 }], {
      constants: [{ key: "weight", length: 24 }],
    }),
  );
  const values = (toJson("vulkan", bytes) as { values: { value: object }[] }).values;
  expect(values.map(({ value }) => value)).toMatchObject([
    { constant_id: -1, mem_obj_id: -1 },
    { mem_obj_id: -1 },
    { constant_id: -1, mem_obj_id: 3 },
  ]);
  expect(values[1]!.value).not.toHaveProperty("constant_id");
  expect(toJson("vulkan", bytes)).toMatchObject({
    constants: [{ offset: 2 ** 64, length: 24, named_key: "weight" }],
  });
});

test("integers have 64 bits and doubles are what they were", () => {
  const values: readonly VulkanValue[] = [
    ...[-1, 2 ** 53 - 1, 2n ** 63n - 1n, -(2n ** 63n)].map((value) => ({ type: "Int", value }) as const),
    ...[-0, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324].map(
      (value) => ({ type: "Double", value }) as const,
    ),
    { type: "IntList", items: [2n ** 63n - 1n, -5] },
    { type: "DoubleList", items: [-0, Number.NaN] },
    { type: "SymInt", value: -3 },
    { ...tensor, dims: [2 ** 32 - 1, 1], layout: "PACKED_INT8_4C1W", dataType: 9 },
  ];
  expect(decode(encodeVulkanGraph(graphOf(values))).values).toEqual(values);
});

test("the blob is a header, the graph and nothing else, each at a multiple of 16", async () => {
  for (let length = 0; length < 20; length++) {
    const graph = graphOf([{ type: "String", value: "x".repeat(length) }, tensor], {
      inputs: [1],
      constants: [{ key: "weight", length: 24 }],
    });
    const blob = writeVulkanBlob(graph);
    const read = await readVulkanBlob(byteRange(bytesSource("blob", blob), 0, blob.length), "model.pte");
    const size = encodeVulkanGraph(graph).length;
    expect(read.graph).toEqual(graph);
    expect(read.header).toEqual({
      graphOffset: 32,
      graphSize: size,
      constantsOffset: blob.length,
      constantsSize: 0,
    });
    expect(blob.length).toBe(32 + Math.ceil(size / 16) * 16);
    expect([...blob.subarray(0, 10)]).toEqual([0, 0, 0, 0, 0x56, 0x48, 0x30, 0x30, 30, 0]);
    expect(blob.subarray(32, 32 + size)).toEqual(encodeVulkanGraph(graph));
  }
});

test("a blob has no bytes of constants", () => {
  expect(() => writeVulkanBlob(graphOf([], { constants: [{ offset: 0, length: 4 }] }))).toThrow("named data");
});
