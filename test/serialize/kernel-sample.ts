import { containersOf, tensorValue } from "../../src/serialize/methods.ts";
import type { ProgramInstruction, ProgramMethod } from "../../src/serialize/program.ts";
import type { WrittenProgram } from "../../src/serialize/program-writer.ts";
import { type KernelProgramContents, writeKernelProgram } from "../../src/serialize/program-writer.ts";
import { type MemorySink, memorySink } from "../../src/serialize/sink.ts";
import { writeVulkanBlob } from "../../src/serialize/vulkan-blob-writer.ts";
import type { VulkanGraph } from "../../src/serialize/vulkan-graph.ts";
import { namedBlob } from "./sample.ts";

const shape = [2, 3];
export const floats = (...values: readonly number[]): Uint8Array =>
  new Uint8Array(Float32Array.from(values).buffer);

/** Three tensors, each at a multiple of 16. */
export const constantTensors = [
  floats(1, 2, 3, 4, 5, 6),
  floats(10, 20, 30, 40, 50, 60),
  floats(0, 1, 0, 1, 0, 1),
] as const;
export const constantOffsets = [0, 32, 64] as const;
export const constantBytes = new Uint8Array(64 + 24);
constantTensors.forEach((bytes, i) => {
  constantBytes.set(bytes, constantOffsets[i]);
});
export const addend = floats(0.5, -0.5, 0.25, -0.25, 8, -8);

/** What adds named data to its input. */
export function addGraph(key: string): VulkanGraph {
  const tensor = {
    type: "VkTensor",
    dataType: "FLOAT32",
    dims: shape,
    storage: "BUFFER",
    layout: "TENSOR_WIDTH_PACKED",
    stagingDataType: "UNSET",
  } as const;
  return {
    version: "0",
    values: [tensor, { ...tensor, constant: 0 }, tensor, { type: "Int", value: 1 }, tensor],
    calls: [
      { id: 0, op: "et_vk.prepack.default", args: [1, 2] },
      { id: 1, op: "aten.add.Tensor", args: [0, 2, 3, 4] },
    ],
    inputs: [0],
    outputs: [4],
    constants: [{ key, length: 24 }],
    storage: "BUFFER",
    layout: "TENSOR_WIDTH_PACKED",
  };
}

/** x, to which are added: what four delegates hold, each in its turn, and the first constant by a kernel. */
function method(): ProgramMethod {
  const tensor = (name: string | undefined, place = {}) => tensorValue({ name, dtype: "f32", shape }, place);
  const between = (offset: number) => tensor(undefined, { allocation: { memory: 1, offset } });
  const call = (delegate: number, from: number, to: number): ProgramInstruction => ({
    type: "DelegateCall",
    delegate,
    args: [from, to],
  });
  const table = (index: number) =>
    ({
      id: "VulkanBackend",
      location: "SEGMENT",
      index,
      specs: [{ key: "require_dynamic_shapes", value: "00" }],
    }) as const;
  return {
    name: "forward",
    containers: containersOf(1, 1),
    values: [
      tensor("x"),
      tensor("y"),
      tensor(undefined, { dataBuffer: 1 }),
      { type: "Int", value: 1 },
      between(0),
      between(32),
    ],
    inputs: [0],
    outputs: [1],
    chains: [
      {
        inputs: [],
        outputs: [],
        instructions: [
          call(0, 0, 4),
          call(1, 4, 5),
          call(2, 5, 4),
          { type: "KernelCall", operator: 0, args: [4, 2, 3, 5, 5] },
          call(3, 5, 1),
        ],
        stacktrace: [],
      },
    ],
    operators: [{ name: "aten::add", overload: "out" }],
    delegates: [0, 1, 2, 3].map(table),
    bufferSizes: [0, 64],
    bufferDevices: [],
  };
}

export const kernelContents = (): KernelProgramContents => ({
  methods: [method()],
  constantMethods: { get_max_seq_len: 8 },
  namedData: [namedBlob("tokenizer.json", new TextEncoder().encode('{"version":"1.0"}'))],
  constants: { blob: namedBlob("constants", constantBytes), offsets: [0, 0] },
  data: [
    namedBlob("addend", addend),
    { key: "last", offset: constantOffsets[2], size: 24 },
    namedBlob("addend again", addend),
    { key: "second", offset: constantOffsets[1], size: 24 },
    namedBlob("copy of the second", constantTensors[1]),
  ],
  delegates: ["addend", "second", "last", "addend again"].map((key) => ({
    build: (keyOf) => writeVulkanBlob(addGraph(keyOf(key))),
  })),
});

export async function writeKernelSample(
  contents = kernelContents(),
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly written: WrittenProgram }> {
  const sink: MemorySink = memorySink();
  const written = await writeKernelProgram(contents, sink);
  return { bytes: sink.bytes(), written };
}
