import fc from "fast-check";
import { Builder } from "flatbuffers";
import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { describeProgram } from "../../src/serialize/describe-program.ts";
import * as et from "../../src/serialize/generated/write/executorch-flatbuffer.ts";
import { insertHeader } from "../../src/serialize/header.ts";
import { openProgram } from "../../src/serialize/open-program.ts";
import type { ProgramTables } from "../../src/serialize/program.ts";
import { encodeProgram } from "../../src/serialize/program-encoder.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { bytesSource, type Source } from "../../src/tensor/source.ts";
import { fromJson } from "./flatc.ts";
import { noise, sampleContents, sampleData, sampleGraph, writeSample } from "./sample.ts";

const { bytes, written } = await writeSample();
const base = Number(new DataView(bytes.buffer).getBigUint64(24, true));
const programSize = Number(new DataView(bytes.buffer).getBigUint64(16, true));
const source = (data: Uint8Array): Source => bytesSource("model.pte", data);

const codeOf = async (run: () => Promise<unknown>): Promise<string> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof BitnetcError) return error.code;
    throw error;
  }
  return "none";
};
const readCode = (data: Uint8Array): Promise<string> =>
  codeOf(async () => describeProgram(await readProgram(source(data))));

test("reads nothing behind the head", async () => {
  let furthest = 0;
  const counted: Source = {
    ...source(bytes),
    read: async (from, to) => {
      furthest = Math.max(furthest, to);
      return bytes.subarray(from, to);
    },
  };
  await readProgram(counted);
  expect(furthest).toBe(base);
});

test("gives segments, named data, delegates and what constant methods return", async () => {
  const program = await readProgram(source(bytes));
  for (const [key, data] of Object.entries(sampleData)) {
    const range = program.namedData.get(key)!;
    expect(await range.read(0, range.size)).toEqual(data);
  }
  expect(program.segments.length).toBe(5);
  const [delegate] = program.delegates;
  expect(delegate).toMatchObject({
    method: "forward",
    id: "BitnetcBackend",
    data: { size: program.segments[4]!.size },
  });
  expect([...delegate!.specs.keys()]).toEqual(["format", "sha256", "head_sha256"]);
  expect(Object.fromEntries(program.constants)).toEqual({
    ...sampleContents().constantMethods,
    rope_theta: 1e4,
    negative_zero: -0,
  });
});

test("opens a program of our own, and verifies what it reads", async () => {
  const program = await openProgram(source(bytes));
  expect(program.graph).toEqual(sampleGraph);
  expect([...program.blobs.values()]).toEqual(written.blobs);
  for (const [key, data] of Object.entries(sampleData)) expect(await program.blob(key)).toEqual(data);

  const changed = bytes.slice();
  changed[base + 5]! ^= 1;
  const other = await openProgram(source(changed));
  expect(await other.blob("weight.2")).toEqual(sampleData["weight.2"]);
  await expect(other.blob("weight.0")).rejects.toThrow(/program-hash.*weight\.0/);
});

test("a changed delegate is refused", async () => {
  const { delegates } = await readProgram(source(bytes));
  const changed = bytes.slice();
  changed[changed.length - delegates[0]!.data.size + 40]! ^= 1;
  expect(await codeOf(() => openProgram(source(changed)))).toBe("program-hash");
});

test("named data of another size than the graph's is refused", async () => {
  const contents = sampleContents();
  const { build } = contents.delegate;
  const delegate = {
    ...contents.delegate,
    build: (blobs: Parameters<typeof build>[0]) =>
      build(blobs.map((blob) => ({ ...blob, size: blob.size + 1 }))),
  };
  const { bytes } = await writeSample({ ...contents, delegate });
  await expect(openProgram(source(bytes))).rejects.toMatchObject({
    diagnostics: Object.keys(sampleData).map(() => ({ code: "program-corrupt" })),
  });
});

test("a program of another backend is refused by its name", async () => {
  const contents = sampleContents();
  const { bytes } = await writeSample({
    ...contents,
    delegate: { ...contents.delegate, id: "VulkanBackend" },
  });
  await expect(openProgram(source(bytes))).rejects.toThrow(/program-backend.*VulkanBackend/);
});

describe("a file that is cut short", () => {
  test("is refused at any length", async () => {
    const lengths = new Set([
      0,
      1,
      4,
      7,
      8,
      11,
      12,
      39,
      40,
      63,
      64,
      65,
      programSize - 1,
      programSize,
      base - 1,
      base,
    ]);
    for (let length = 0; length < bytes.length; length += 37) lengths.add(length);
    lengths.add(bytes.length - 1);
    for (const length of lengths)
      expect(await readCode(bytes.slice(0, length)), `${length}`).toBe("program-truncated");
    expect(await readCode(bytes)).toBe("none");
  });

  test("while it is read", async () => {
    const program = await openProgram({ ...source(bytes), read: async (from, to) => bytes.slice(from, to) });
    const shrunk: Source = {
      ...source(bytes),
      read: async (from, to) => bytes.slice(from, Math.min(to, base + 10)),
    };
    expect(await codeOf(() => openProgram(shrunk))).toBe("program-truncated");
    expect(program.graph).toEqual(sampleGraph);
  });
});

test("a file of another kind is refused by its identifier", async () => {
  const text = new TextEncoder().encode(
    "This is a text file, longer than the head of any program: it is no program.",
  );
  expect(await readCode(text)).toBe("program-identifier");
  expect(await readCode(text.slice(0, 20))).toBe("program-identifier");
  const gguf = bytes.slice();
  gguf.set(new TextEncoder().encode("BP08"), 4);
  await expect(readProgram(source(gguf))).rejects.toThrow('"BP08"');
});

describe("a corrupt head", () => {
  test("never crashes the reader, whichever byte is another", async () => {
    const codes = new Set<string>();
    for (let i = 0; i < programSize; i++) {
      for (const flip of [1, 0x10, 0x80, 0xff]) {
        const changed = bytes.slice(0, bytes.length);
        changed[i]! ^= flip;
        codes.add(await readCode(changed));
      }
    }
    expect([...codes].sort()).toEqual(["none", "program-corrupt", "program-identifier", "program-truncated"]);
  });

  test("never crashes the reader when it is noise", async () => {
    for (let seed = 0; seed < 300; seed++) {
      const changed = bytes.slice();
      changed.set(noise(programSize - 40, seed), 40);
      expect(await readCode(changed)).toBe("program-corrupt");
    }
  });

  const header = (offset: number, value: bigint): Uint8Array => {
    const changed = bytes.slice();
    new DataView(changed.buffer).setBigUint64(offset, value, true);
    return changed;
  };
  const wrong: Readonly<Record<string, readonly [Uint8Array, string]>> = {
    "a flatbuffer of no size": [header(16, 0n), "program-corrupt"],
    "a flatbuffer longer than the file": [header(16, BigInt(bytes.length + 1)), "program-truncated"],
    "a flatbuffer of 2^63 bytes": [header(16, 1n << 63n), "program-corrupt"],
    "segments within the flatbuffer": [header(24, 64n), "program-corrupt"],
    "segments beyond the file": [header(24, BigInt(bytes.length)), "program-truncated"],
    "less segment data than segments": [header(32, 100n), "program-corrupt"],
    "more segment data than there is": [header(32, BigInt(bytes.length)), "program-truncated"],
  };
  for (const [what, [data, code]] of Object.entries(wrong)) {
    test(`says ${what}`, async () => expect(await readCode(data)).toBe(code));
  }

  test("does not make the reader work forever", async () => {
    // A list of instructions that are all one and the same, which has a long list of arguments.
    const length = 10_000;
    const builder = new Builder(1 << 20);
    const args = et.KernelCall.createArgsVector(builder, new Int32Array(length));
    const call = et.KernelCall.createKernelCall(builder, 0, args);
    const instruction = et.Instruction.createInstruction(builder, et.InstructionArguments.KernelCall, call);
    const instructions = et.Chain.createInstructionsVector(builder, Array(length).fill(instruction));
    const chains = et.ExecutionPlan.createChainsVector(builder, [
      et.Chain.createChain(builder, 0, 0, instructions, 0),
    ]);
    const operators = et.ExecutionPlan.createOperatorsVector(builder, [
      et.Operator.createOperator(builder, 0, 0),
    ]);
    et.Null.startNull(builder);
    const value = et.EValue.createEValue(builder, et.KernelTypes.Null, et.Null.endNull(builder));
    const values = et.ExecutionPlan.createValuesVector(builder, [value]);
    const name = builder.createString("forward");
    et.ExecutionPlan.startExecutionPlan(builder);
    et.ExecutionPlan.addName(builder, name);
    et.ExecutionPlan.addValues(builder, values);
    et.ExecutionPlan.addChains(builder, chains);
    et.ExecutionPlan.addOperators(builder, operators);
    const plans = et.Program.createExecutionPlanVector(builder, [et.ExecutionPlan.endExecutionPlan(builder)]);
    et.Program.startProgram(builder);
    et.Program.addExecutionPlan(builder, plans);
    et.Program.finishProgramBuffer(builder, et.Program.endProgram(builder));
    const file = builder.asUint8Array().slice();
    await expect(readProgram(source(file)).then(describeProgram)).rejects.toThrow("over and over");
  });
});

/** A file without a header, as ExecuTorch writes programs without segments. */
function plainFile(json: object): Uint8Array<ArrayBuffer> {
  const constant_segment = { segment_index: 0, offsets: [0] };
  return Uint8Array.from(fromJson("program", { constant_segment, ...json }));
}

describe("programs of other writers", () => {
  const plan = {
    name: "forward",
    values: [{ val_type: "Tensor", val: { scalar_type: "FLOAT", sizes: [3], dim_order: [0] } }],
    inputs: [0],
    outputs: [0],
    chains: [{ instructions: [] }],
    non_const_buffer_sizes: [0, 32],
  };

  test("without a header, segments or constant methods", async () => {
    const program = await readProgram(source(plainFile({ execution_plan: [plan] })));
    expect(program.header).toBeUndefined();
    expect([program.segments.length, program.delegates.length, program.constants.size]).toEqual([0, 0, 0]);
    expect(await codeOf(() => openProgram(source(plainFile({ execution_plan: [plan] }))))).toBe(
      "program-backend",
    );
  });

  test("without a header and with an empty segment", async () => {
    const program = await readProgram(
      source(plainFile({ execution_plan: [plan], segments: [{ offset: 0, size: 0 }] })),
    );
    expect(program.segments.map(({ size }) => size)).toEqual([0]);
    expect(await readCode(plainFile({ execution_plan: [plan], segments: [{ offset: 0, size: 4 }] }))).toBe(
      "program-corrupt",
    );
  });

  test("with the delegate's data in the flatbuffer", async () => {
    const data = [...noise(33, 4)];
    const delegates = [
      { id: "XnnpackBackend", processed: { location: "INLINE", index: 0 }, compile_specs: [] },
    ];
    const file = plainFile({
      execution_plan: [{ ...plan, delegates }],
      backend_delegate_data: [{ data }],
      constant_buffer: [{ storage: [] }, { storage: [1, 2] }],
    });
    const program = await readProgram(source(file));
    const range = program.delegates[0]!.data;
    expect([...(await range.read(0, range.size))]).toEqual(data);
    expect(describeProgram(program)).toMatchObject({
      inlineDelegateData: [33],
      inlineConstants: [0, 2],
      header: null,
    });
    delegates[0]!.processed.index = 1;
    expect(await readCode(plainFile({ execution_plan: [{ ...plan, delegates }] }))).toBe("program-corrupt");
  });

  test("with the older header of 24 bytes", async () => {
    const old = bytes.slice();
    new DataView(old.buffer).setUint32(12, 24, true);
    const program = await readProgram(source(old));
    expect(program.header).toEqual({ programSize, segmentBase: base });
    expect(program.namedData.size).toBe(6);
  });

  test("with constants as they are wrapped today", async () => {
    const outputs = (structure: string) => ({ encoded_inp_str: "", encoded_out_str: structure });
    const constant = (name: string, structure: string) => ({
      name,
      container_meta_type: outputs(structure),
      values: [{ val_type: "Int", val: { int_val: 3 } }],
      outputs: [0],
      chains: [{ instructions: [] }],
    });
    const leaf = '{"type": null, "context": null, "children_spec": []}';
    const list = `[1, {"type": "builtins.list", "context": "null", "children_spec": [${leaf}]}]`;
    const { constants } = await readProgram(
      source(
        plainFile({
          execution_plan: [
            constant("scalar", `[1, ${leaf}]`),
            constant("list", list),
            { ...constant("bare", ""), container_meta_type: undefined },
            {
              ...constant("called", "$"),
              chains: [{ instructions: [{ instr_args_type: "FreeCall", instr_args: {} }] }],
            },
            { ...plan, name: "tensor", inputs: [] },
          ],
        }),
      ),
    );
    expect(Object.fromEntries(constants)).toEqual({ scalar: 3, list: [3], bare: 3 });
  });
});

/** One of every kind of value, instruction and option. */
const everything: ProgramTables = {
  version: 3,
  methods: [
    {
      name: "forward",
      containers: { inputs: "T1#1($)", outputs: "$" },
      values: [
        { type: "Null" },
        { type: "Int", value: -5 },
        { type: "Int", value: "9223372036854775807" },
        { type: "Bool", value: true },
        { type: "Double", value: -0 },
        { type: "Double", value: "-Infinity" },
        { type: "String", value: "\ufeffé𝄞" },
        { type: "IntList", items: [1, 2] },
        { type: "DoubleList", items: [0.1, "NaN"] },
        { type: "BoolList", items: [true, false] },
        {
          type: "Tensor",
          scalarType: "BFLOAT16",
          sizes: [2, 3],
          dimOrder: [1, 0],
          dynamism: "DYNAMIC_UNBOUND",
          dataBuffer: 2 ** 32 - 1,
          storageOffset: 4,
          requiresGrad: true,
          layout: 1,
          allocation: { memory: 1, offset: 5 * 2 ** 32 + 16 },
          extra: { name: "w", mutableSegment: 1, location: "EXTERNAL", device: "CUDA", deviceIndex: 2 },
        },
        {
          type: "Tensor",
          scalarType: 44,
          sizes: [],
          dimOrder: [],
          dynamism: "STATIC",
          dataBuffer: 0,
          storageOffset: 0,
          requiresGrad: false,
          layout: 0,
        },
        { type: "TensorList", items: [10, 11] },
        { type: "OptionalTensorList", items: [10, -1] },
      ],
      inputs: [10],
      outputs: [11],
      chains: [
        {
          inputs: [10],
          outputs: [11],
          instructions: [
            { type: "KernelCall", operator: 0, args: [10, 1, 11, 11] },
            { type: "DelegateCall", delegate: 1, args: [10, 11] },
            { type: "MoveCall", from: 1, to: 2 },
            { type: "JumpFalseCall", condition: 3, destination: 0 },
            { type: "FreeCall", value: 11 },
          ],
          stacktrace: [[{ file: "model.py", line: 7, name: "forward", context: "x + y" }], []],
        },
      ],
      operators: [{ name: "aten::add", overload: "out" }],
      delegates: [
        { id: "A", location: "SEGMENT", index: 1, specs: [] },
        {
          id: "B",
          location: "SEGMENT",
          index: 0,
          specs: [
            { key: "k", value: "00ff7f" },
            { key: "none", value: "" },
          ],
        },
      ],
      bufferSizes: [0, 2 ** 40],
      bufferDevices: [{ buffer: 1, device: "CUDA", deviceIndex: 3 }],
    },
  ],
  segments: [
    { offset: 0, size: 5 },
    { offset: 128, size: 3 },
  ],
  constantSegment: { segment: 0, offsets: [0, 0] },
  mutableSegments: [{ segment: 1, offsets: [0] }],
  namedData: [
    { key: "a", segment: 1 },
    { key: "b", segment: 1 },
  ],
};

const fileOf = (tables: ProgramTables): Uint8Array => {
  const flatbuffer = encodeProgram(tables);
  const base = Math.ceil((flatbuffer.length + 32) / 128) * 128;
  const file = new Uint8Array(base + 131);
  file.set(insertHeader(flatbuffer, base, 131));
  return file;
};

describe("the description", () => {
  test("of everything that a program can hold is what was written", async () => {
    const description = describeProgram(await readProgram(source(fileOf(everything))));
    expect(description).toMatchObject(everything);
    expect(description.file).toEqual({ name: "model.pte", size: fileOf(everything).length });
  });

  test("is data that JSON can hold", async () => {
    const description = describeProgram(await readProgram(source(fileOf(everything))));
    const unsigned = JSON.parse(JSON.stringify(everything)) as ProgramTables;
    expect(JSON.parse(JSON.stringify(description))).toMatchObject(unsigned);
  });

  const [method] = everything.methods;
  const broken: Readonly<Record<string, object>> = {
    "a value": { inputs: [14] },
    "a negative value": { outputs: [-1] },
    "a list's item": { values: [{ type: "TensorList", items: [99] }] },
    "an operator": { operators: [] },
    "a delegate": { delegates: [] },
    "a segment": { delegates: [{ id: "A", location: "SEGMENT", index: 2, specs: [] }] },
  };
  for (const [what, change] of Object.entries(broken)) {
    test(`of a program that refers to ${what} that is not there is refused`, async () => {
      const file = fileOf({ ...everything, methods: [{ ...method!, ...change }] });
      expect(await readCode(file)).toBe("program-corrupt");
    });
  }

  test("of any numbers is exact", async () => {
    const int = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    await fc.assert(
      fc.asyncProperty(
        fc.array(int),
        fc.array(fc.double()),
        fc.array(fc.string({ unit: "grapheme" })),
        async (ints, doubles, texts) => {
          const values = [
            ...ints.map((value) => ({
              type: "Int" as const,
              value: Number.isSafeInteger(Number(value)) ? Number(value) : String(value),
            })),
            ...doubles.map((value) => ({
              type: "Double" as const,
              value: Number.isFinite(value) ? value : String(value),
            })),
            ...texts.map((value) => ({ type: "String" as const, value })),
          ];
          const empty = {
            inputs: [],
            outputs: [],
            chains: [],
            operators: [],
            delegates: [],
            bufferSizes: [0],
            bufferDevices: [],
          };
          const tables = { ...everything, methods: [{ name: "m", values, ...empty }] };
          expect(describeProgram(await readProgram(source(fileOf(tables)))).methods).toEqual(tables.methods);
        },
      ),
    );
  });
});
