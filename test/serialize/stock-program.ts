import { insertHeader } from "../../src/serialize/header.ts";
import { fromJson } from "./flatc.ts";

/** A program file as ExecuTorch lays it out, with its tables by flatc. Its segments are those of `data`. */
export function stockProgram(tables: object, data: readonly Uint8Array[] = []): Uint8Array<ArrayBuffer> {
  let end = 0;
  const segments = data.map((bytes) => {
    const offset = Math.ceil(end / 128) * 128;
    end = offset + bytes.length;
    return { offset, size: bytes.length };
  });
  const constant_segment = { segment_index: 0, offsets: [0] };
  const flatbuffer = fromJson("program", { version: 0, constant_segment, segments, ...tables });
  if (data.length === 0) return Uint8Array.from(flatbuffer);
  const base = Math.ceil((flatbuffer.length + 32) / 128) * 128;
  const file = new Uint8Array(base + end);
  file.set(insertHeader(flatbuffer, base, end));
  segments.forEach(({ offset }, i) => {
    file.set(data[i]!, base + offset);
  });
  return file;
}

/** The blob of a Vulkan delegate: its header, the graph by flatc, and bytes of constants. */
export function vulkanBlob(graph: object, constants = new Uint8Array()): Uint8Array<ArrayBuffer> {
  const flatbuffer = fromJson("vulkan", graph);
  const start = 32;
  const constantsAt = start + Math.ceil(flatbuffer.length / 16) * 16;
  const blob = new Uint8Array(constantsAt + constants.length);
  const view = new DataView(blob.buffer);
  blob.set(new TextEncoder().encode("VH00"), 4);
  view.setUint16(8, 30, true);
  view.setUint32(10, start, true);
  view.setUint32(14, flatbuffer.length, true);
  view.setUint32(18, constantsAt, true);
  view.setBigUint64(22, BigInt(constants.length), true);
  blob.set(flatbuffer, start);
  blob.set(constants, constantsAt);
  return blob;
}

const tensor = (dims: readonly number[], more: object = {}) => ({
  value_type: "VkTensor",
  value: {
    datatype: "FLOAT32",
    dims,
    constant_id: -1,
    mem_obj_id: -1,
    storage_type: "BUFFER",
    memory_layout: "TENSOR_WIDTH_PACKED",
    ...more,
  },
});

/** One of every kind of value, and constants of both kinds. */
export const vulkanGraph = {
  version: "0",
  values: [
    tensor([1, 64]),
    tensor([64, 32], { datatype: "UINT8", constant_id: 0 }),
    tensor([64], { constant_id: 1, staging_datatype: "FLOAT32", storage_type: "TEXTURE_3D" }),
    { value_type: "Int", value: { int_val: 64 } },
    { value_type: "Null", value: {} },
    tensor([1, 64], { mem_obj_id: 0 }),
    { value_type: "Double", value: { double_val: 0.00001 } },
    { value_type: "Bool", value: { bool_val: true } },
    { value_type: "IntList", value: { items: [-1, 9007199254740992] } },
    { value_type: "DoubleList", value: { items: [0.5, 2] } },
    { value_type: "BoolList", value: { items: [true, false] } },
    { value_type: "ValueList", value: { items: [0, 5] } },
    { value_type: "String", value: { string_val: "tanh" } },
    { value_type: "SymInt", value: { value: 7 } },
    tensor([2, 64], { datatype: "FLOAT16", staging_datatype: "FLOAT32", memory_layout: 7 }),
  ],
  chain: [
    { node_id: 0, name: "et_vk.linear_q4gsw.default", args: [0, 1, 2, 3, 4, 5] },
    { node_id: 1, name: "et_vk.rms_norm.default", args: [5, 2, 6, 5] },
    { node_id: 2, name: "test.everything", args: [7, 8, 9, 10, 12, 13] },
    { node_id: 3, name: "aten.cat.default", args: [11, 4, 14] },
  ],
  input_ids: [0, 13],
  output_ids: [14],
  constants: [
    { offset: "18446744073709551615", length: 2048, named_key: "weight" },
    { offset: 16, length: 256 },
  ],
  shaders: [],
};

export const vulkanConstants = new Uint8Array(272).fill(9);
