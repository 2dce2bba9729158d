import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonText } from "../../src/cli/json-text.ts";
import { decodeFlatbuffer } from "../../src/serialize/checked-buffer.ts";
import { writeDelegate } from "../../src/serialize/delegate-writer.ts";
import { flatbufferJson, type Schema } from "../../src/serialize/flatbuffer-json.ts";
import { schema as delegate } from "../../src/serialize/generated/schema/delegate.ts";
import { schema as program } from "../../src/serialize/generated/schema/program.ts";
import { schema as vulkan } from "../../src/serialize/generated/schema/vulkan.ts";
import { fromJson, toJson } from "./flatc.ts";
import { sampleBlobs, sampleGraph, writeSample } from "./sample.ts";
import { stockProgram, vulkanGraph } from "./stock-program.ts";

const schemas: Readonly<Record<string, Schema>> = { program, delegate, vulkan };

const textOf = (name: string, bytes: Uint8Array): string =>
  jsonText(decodeFlatbuffer(name, bytes, (buffer) => flatbufferJson(buffer, schemas[name]!)));

const expectSame = (name: string, bytes: Uint8Array): void =>
  expect(JSON.parse(textOf(name, bytes))).toEqual(toJson(name, bytes));

/** Fields at their defaults among them, lists that are empty and ones that are not there, unknown members. */
const everything = {
  version: 3,
  execution_plan: [
    {
      name: 'é𝄞\u0001"/\\',
      container_meta_type: { encoded_inp_str: "", encoded_out_str: "$" },
      values: [
        {},
        { val_type: "Null", val: {} },
        { val_type: "Int", val: { int_val: 0 } },
        { val_type: "Int", val: { int_val: "-9223372036854775808" } },
        { val_type: "Bool", val: { bool_val: true } },
        { val_type: "Double", val: { double_val: 0.08838834764831845 } },
        { val_type: "Double", val: { double_val: 1e25 } },
        { val_type: "String", val: { string_val: "" } },
        { val_type: "String", val: {} },
        { val_type: "IntList", val: { items: [1, 2] } },
        { val_type: "DoubleList", val: { items: [0, -1.5, 1e-15, 123456789.125] } },
        { val_type: "BoolList", val: { items: [true, false] } },
        { val_type: "TensorList", val: { items: [] } },
        { val_type: "OptionalTensorList", val: { items: [-1, 14] } },
        {
          val_type: "Tensor",
          val: {
            scalar_type: "BYTE",
            sizes: [2, 3],
            dim_order: [0, 1],
            data_buffer_idx: 4294967295,
            allocation_info: { memory_id: 1, memory_offset_high: 1 },
            shape_dynamism: "DYNAMIC_BOUND",
            extra_tensor_info: { fully_qualified_name: "w", location: "EXTERNAL", device_type: "CUDA" },
          },
        },
        { val_type: "Tensor", val: { scalar_type: 44, sizes: [], dim_order: [], layout: -1 } },
      ],
      inputs: [14],
      outputs: [],
      chains: [
        {
          instructions: [
            { instr_args_type: "KernelCall", instr_args: { op_index: 0, args: [1, 2] } },
            { instr_args_type: "DelegateCall", instr_args: { delegate_index: 1, args: [14] } },
            { instr_args_type: "MoveCall", instr_args: { move_from: 1, move_to: 2 } },
            { instr_args_type: "JumpFalseCall", instr_args: { cond_value_index: 4 } },
            { instr_args_type: "FreeCall", instr_args: {} },
          ],
          stacktrace: [{ items: [{ filename: "a.py", lineno: 7, name: "f", context: "x" }] }, {}],
        },
      ],
      operators: [{ name: "aten::add", overload: "out" }],
      delegates: [
        {
          id: "A",
          processed: { location: "SEGMENT", index: 1 },
          compile_specs: [{ key: "k", value: [0, 255] }],
        },
        { id: "B", processed: {}, compile_specs: [] },
      ],
      non_const_buffer_sizes: [0, 1099511627776],
      non_const_buffer_device: [{ buffer_idx: 1, device_type: "CUDA", device_index: -1 }],
    },
    {},
  ],
  constant_buffer: [{ storage: [1, 2, 3] }, {}],
  backend_delegate_data: [{ data: [9, 8] }],
  segments: [{}, { offset: "18446744073709551615", size: 5 }],
  mutable_data_segments: [{ segment_index: 1, offsets: [0, 16] }],
  named_data: [{ key: "a", segment_index: 1 }],
};

test("the program's tables are as flatc prints them", () => {
  expectSame("program", fromJson("program", everything));
  expectSame("program", stockProgram(everything, [new Uint8Array(3)]));
});

test("what bitnetc writes is, too", async () => {
  expectSame("program", (await writeSample()).bytes);
  // JSON has no infinity.
  const nodes = sampleGraph.nodes.map((node) => ({ ...node, attrs: { ...node.attrs, infinite: 0 } }));
  expectSame("delegate", writeDelegate({ ...sampleGraph, nodes }, sampleBlobs));
});

test("a Vulkan graph is, too", () => {
  expectSame("vulkan", fromJson("vulkan", vulkanGraph));
  expectSame("vulkan", fromJson("vulkan", { version: "", chain: [], values: [] }));
});

test("the defaults of a Vulkan tensor are those of its schema", () => {
  const values = [{ value_type: "VkTensor", value: { constant_id: 0, mem_obj_id: -1, storage_type: 255 } }];
  expect(JSON.parse(textOf("vulkan", fromJson("vulkan", { values })))).toEqual({
    values: [{ value_type: "VkTensor", value: { mem_obj_id: -1 } }],
  });
});

test("integers keep all their digits", () => {
  const text = textOf("program", fromJson("program", everything));
  expect(text).toContain('{"int_val":-9223372036854775808}');
  expect(text).toContain('"offset":18446744073709551615');
});

test("doubles that JSON has not are text that flatc reads", () => {
  const doubles = {
    execution_plan: [{ values: [{ val_type: "DoubleList", val: { items: ["nan", "-inf"] } }] }],
  };
  const bytes = fromJson("program", doubles);
  const json = JSON.parse(textOf("program", bytes));
  expect(json).toEqual(doubles);
  expect(fromJson("program", json)).toEqual(bytes);
});

test("any numbers and texts are as flatc prints them", () => {
  const int = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
  const double = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 });
  fc.assert(
    fc.property(fc.array(int), fc.array(double), fc.string({ unit: "grapheme" }), (ints, doubles, text) => {
      const values = [
        { val_type: "IntList", val: { items: ints } },
        { val_type: "DoubleList", val: { items: doubles } },
        { val_type: "String", val: { string_val: text } },
      ];
      expectSame("program", fromJson("program", { execution_plan: [{ values }] }));
    }),
    { numRuns: 30 },
  );
});
