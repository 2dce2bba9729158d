import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { readVulkanBlob, type VulkanBlob } from "../../src/serialize/vulkan-blob.ts";
import { byteRange, bytesSource } from "../../src/tensor/source.ts";
import { stockProgram, vulkanBlob, vulkanConstants, vulkanGraph } from "./stock-program.ts";

const read = (bytes: Uint8Array): Promise<VulkanBlob> =>
  readVulkanBlob(byteRange(bytesSource("blob", bytes), 0, bytes.length), "model.pte");

const codeOf = async (bytes: Uint8Array): Promise<string> => {
  try {
    await read(bytes);
  } catch (error) {
    if (error instanceof BitnetcError) return error.code;
    throw error;
  }
  return "none";
};

const blob = vulkanBlob(vulkanGraph, vulkanConstants);

test("reads a graph with one of everything", async () => {
  const { header, graph } = await read(blob);
  expect(header).toMatchObject({ graphOffset: 32, constantsSize: vulkanConstants.length });
  expect(graph.version).toBe("0");
  expect(graph.calls[0]).toEqual({ id: 0, op: "et_vk.linear_q4gsw.default", args: [0, 1, 2, 3, 4, 5] });
  const tensor = { type: "VkTensor", dataType: "FLOAT32", storage: "BUFFER", layout: "TENSOR_WIDTH_PACKED" };
  expect(graph.values).toEqual([
    { ...tensor, dims: [1, 64], stagingDataType: "UNSET" },
    { ...tensor, dataType: "UINT8", dims: [64, 32], constant: 0, stagingDataType: "UNSET" },
    { ...tensor, dims: [64], constant: 1, storage: "TEXTURE_3D", stagingDataType: "FLOAT32" },
    { type: "Int", value: 64 },
    { type: "Null" },
    { ...tensor, dims: [1, 64], memoryObject: 0, stagingDataType: "UNSET" },
    { type: "Double", value: 0.00001 },
    { type: "Bool", value: true },
    { type: "IntList", items: [-1, 2n ** 53n] },
    { type: "DoubleList", items: [0.5, 2] },
    { type: "BoolList", items: [true, false] },
    { type: "ValueList", items: [0, 5] },
    { type: "String", value: "tanh" },
    { type: "SymInt", value: 7 },
    { ...tensor, dataType: "FLOAT16", dims: [2, 64], layout: 7, stagingDataType: "FLOAT32" },
  ]);
  expect([graph.inputs, graph.outputs]).toEqual([[0, 13], [14]]);
  expect(graph.constants).toEqual([
    { key: "weight", length: 2048 },
    { offset: 16, length: 256 },
  ]);
  expect([graph.storage, graph.layout]).toEqual(["DEFAULT_STORAGE", "DEFAULT_LAYOUT"]);
});

describe("refuses", () => {
  const values = [{ value_type: "Null", value: {} }];
  const list = (items: number[]) => ({ value_type: "ValueList", value: { items } });
  const tensor = (value: object) => ({ values: [{ value_type: "VkTensor", value }] });
  const graphs: Readonly<Record<string, readonly [object, RegExp]>> = {
    "an argument that is no value": [{ values, chain: [{ name: "a", args: [1] }] }, /value 1 of 1/],
    "a negative argument": [{ values, chain: [{ name: "a", args: [-1] }] }, /value -1/],
    "a call without a name": [{ values, chain: [{ args: [] }] }, /name of an op/],
    "an input that is no value": [{ values, input_ids: [7] }, /value 7/],
    "an output that is no value": [{ values, output_ids: [4294967295] }, /value 4294967295/],
    "a list of later values": [{ values: [list([1]), ...values] }, /earlier value 1/],
    "a constant that is not there": [tensor({ constant_id: 0 }), /constant 0 of 0/],
    "a constant beyond the blob": [{ constants: [{ offset: 1, length: 16 }] }, /ends at 17 of 16/],
    "a constant without a key": [{ constants: [{ offset: "18446744073709551615" }] }, /key of a constant/],
    "a value without a type": [{ values: [{}] }, /unknown type 0/],
  };
  for (const [what, [graph, message]] of Object.entries(graphs)) {
    test(what, async () => {
      await expect(read(vulkanBlob(graph, new Uint8Array(16)))).rejects.toThrow(message);
    });
  }

  const changed = (change: (view: DataView) => void): Uint8Array => {
    const copy = blob.slice();
    change(new DataView(copy.buffer));
    return copy;
  };
  const headers: Readonly<Record<string, (view: DataView) => void>> = {
    "another magic": (view) => view.setUint8(4, 0),
    "another identifier": (view) => view.setUint8(36, 0),
    "a header that is too short": (view) => view.setUint16(8, 29, true),
    "a graph within the header": (view) => view.setUint32(10, 16, true),
    "a graph beyond the end": (view) => view.setUint32(10, 0xffffffff, true),
    "no graph": (view) => view.setUint32(14, 0, true),
    "constants within the graph": (view) => view.setUint32(18, 40, true),
    "constants beyond the end": (view) => view.setBigUint64(22, 2n ** 63n, true),
  };
  for (const [what, change] of Object.entries(headers)) {
    test(what, async () => expect(await codeOf(changed(change))).toBe("vulkan-corrupt"));
  }

  test("a program in its place", async () => {
    expect(await codeOf(stockProgram({ execution_plan: [] }))).toBe("vulkan-corrupt");
  });

  test("any part of a blob", async () => {
    for (let size = 0; size < blob.length; size++)
      expect(await codeOf(blob.slice(0, size)), `${size}`).toBe("vulkan-corrupt");
  });
});

test("never crashes, whichever byte is another", async () => {
  const codes = new Set<string>();
  for (let i = 0; i < blob.length - vulkanConstants.length; i++) {
    for (const flip of [1, 0x10, 0x80, 0xff]) {
      const copy = blob.slice();
      copy[i]! ^= flip;
      codes.add(await codeOf(copy));
    }
  }
  expect([...codes].sort()).toEqual(["none", "vulkan-corrupt"]);
});
