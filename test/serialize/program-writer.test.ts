import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { readDelegate } from "../../src/serialize/delegate.ts";
import { describeProgram } from "../../src/serialize/describe-program.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { type NamedBlob, writeProgram } from "../../src/serialize/program-writer.ts";
import { memorySink, type Sink } from "../../src/serialize/sink.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { toJson } from "./flatc.ts";
import { namedBlob, noise, sampleContents, sampleData, sampleGraph, writeSample } from "./sample.ts";

const { bytes, written } = await writeSample();
const view = new DataView(bytes.buffer);
const u64 = (offset: number): number => Number(view.getBigUint64(offset, true));
const ascii = (from: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(from, from + length));
const header = { programSize: u64(16), base: u64(24), dataSize: u64(32) };

/** The flatbuffer as its compiler knows it: without the header that is put into it. */
function flatbufferOf(file: Uint8Array): Uint8Array {
  const size = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(16, true));
  const plain = new Uint8Array(size - 32);
  plain.set(file.subarray(0, 8));
  plain.set(file.subarray(40, size), 8);
  const head = new DataView(plain.buffer);
  head.setUint32(0, head.getUint32(0, true) - 32, true);
  return plain;
}

interface ProgramJson {
  readonly execution_plan: readonly Record<string, unknown>[];
  readonly segments: readonly { readonly offset?: number; readonly size: number }[];
  readonly named_data: readonly { readonly key: string; readonly segment_index?: number }[];
  readonly constant_segment: unknown;
}
const json = toJson("program", flatbufferOf(bytes)) as ProgramJson;
const plan = (name: string) => json.execution_plan.find((candidate) => candidate.name === name);
const segmentOf = (key: string) => {
  const { segment_index = 0 } = json.named_data.find((entry) => entry.key === key)!;
  const { offset = 0, size } = json.segments[segment_index]!;
  return bytes.subarray(header.base + offset, header.base + offset + size);
};

describe("the file, byte by byte", () => {
  test("begins with the root's offset, ET12 and the extended header", () => {
    expect(ascii(4, 4)).toBe("ET12");
    expect(ascii(8, 4)).toBe("eh00");
    expect(view.getUint32(12, true)).toBe(32);
    const root = view.getUint32(0, true);
    expect(root).toBeGreaterThanOrEqual(40);
    const vtable = root - view.getInt32(root, true);
    expect(vtable).toBeGreaterThanOrEqual(40);
    // Eight fields: two 16-bit sizes, then one offset each.
    expect(view.getUint16(vtable, true)).toBe(4 + 2 * 8);
  });

  test("has its segments at multiples of 128, and nothing behind the last", () => {
    expect(header.base % 128).toBe(0);
    expect(header.base).toBeGreaterThanOrEqual(header.programSize);
    expect(header.base + header.dataSize).toBe(bytes.length);
    expect(written.size).toBe(bytes.length);
    let end = 0;
    for (const { offset = 0, size } of json.segments) {
      expect(offset % 128).toBe(0);
      expect(offset).toBe(Math.ceil(end / 128) * 128);
      expect(bytes.subarray(header.base + end, header.base + offset).every((byte) => byte === 0)).toBe(true);
      end = offset + size;
    }
    expect(end).toBe(header.dataSize);
    expect(bytes.subarray(header.programSize, header.base).every((byte) => byte === 0)).toBe(true);
  });

  test("has the constant segment that the runtime insists on", () => {
    expect(json.constant_segment).toEqual({ offsets: [0] });
  });

  test("has the named data", () => {
    expect(json.named_data.map(({ key }) => key)).toEqual(Object.keys(sampleData));
    for (const [key, data] of Object.entries(sampleData)) expect(segmentOf(key), key).toEqual(data);
  });
});

describe("forward", () => {
  const forward = plan("forward") as {
    values: { val_type: string; val: Record<string, unknown> }[];
    delegates: { id: string; processed: object; compile_specs: { key: string; value: number[] }[] }[];
    non_const_buffer_sizes: number[];
  };

  test("hands its inputs to the delegate", () => {
    expect(forward).toMatchObject({
      container_meta_type: { encoded_inp_str: "T2#2#0(T2#1#1($,$),D0())", encoded_out_str: "$" },
      inputs: [0, 1],
      outputs: [2],
      operators: [],
      chains: [{ instructions: [{ instr_args_type: "DelegateCall", instr_args: { args: [0, 1, 2] } }] }],
      non_const_buffer_sizes: [0],
    });
  });

  test("has tensors with the bounds of their sizes and no planned memory", () => {
    expect(forward.values).toMatchObject([
      {
        val_type: "Tensor",
        val: { scalar_type: "LONG", sizes: [1, 64], dim_order: [0, 1], shape_dynamism: "DYNAMIC_BOUND" },
      },
      { val_type: "Tensor", val: { scalar_type: "LONG", sizes: [1], dim_order: [0] } },
      {
        val_type: "Tensor",
        val: { scalar_type: "FLOAT", sizes: [1, 64, 2048], shape_dynamism: "DYNAMIC_BOUND" },
      },
    ]);
    expect(forward.values.map(({ val }) => val.extra_tensor_info)).toEqual(
      ["tokens", "start_pos", "logits"].map((name) => ({ fully_qualified_name: name })),
    );
    expect(forward.values[1]?.val).not.toHaveProperty("shape_dynamism");
    for (const { val } of forward.values) {
      expect(val).not.toHaveProperty("allocation_info");
      expect(val).not.toHaveProperty("data_buffer_idx");
    }
  });

  test("has the delegate's blob as the last segment, and its SHA-256", async () => {
    const [delegate] = forward.delegates;
    const last = json.segments.at(-1)!;
    expect(delegate?.id).toBe("BitnetcBackend");
    expect(delegate?.processed).toEqual({ location: "SEGMENT", index: json.segments.length - 1 });
    const blob = bytes.slice(header.base + last.offset!, header.base + last.offset! + last.size);
    expect(delegate?.compile_specs).toEqual([
      { key: "format", value: [..."BNC1"].map((c) => c.charCodeAt(0)) },
      { key: "sha256", value: [...createHash("sha256").update(blob).digest()] },
      { key: "head_sha256", value: expect.objectContaining({ length: 32 }) },
    ]);
    expect(readDelegate(blob)).toEqual({ version: 2, graph: sampleGraph, blobs: written.blobs });
  });
});

test("the head's SHA-256 is that of what precedes the segments, with zeros in its place", () => {
  const front = bytes.slice(0, header.base);
  const { delegates } = plan("forward") as {
    delegates: readonly { readonly compile_specs: readonly { key: string; value: number[] }[] }[];
  };
  const hash = delegates[0]!.compile_specs.find(({ key }) => key === "head_sha256")!.value;
  const at = Buffer.from(front).indexOf(Buffer.from(hash));
  expect(at).toBeGreaterThan(64);
  front.fill(0, at, at + 32);
  expect([...createHash("sha256").update(front).digest()]).toEqual(hash);
});

test("constant methods are plans of constants, after the others, by name", () => {
  const names = json.execution_plan.map(({ name }) => name);
  expect(names).toEqual(["forward", ...Object.keys(sampleContents().constantMethods).sort()]);
  expect(plan("get_eos_ids")).toEqual({
    name: "get_eos_ids",
    container_meta_type: { encoded_inp_str: "", encoded_out_str: "L2#1#1($,$)" },
    values: [
      { val_type: "Int", val: {} },
      { val_type: "Int", val: { int_val: 7 } },
    ],
    inputs: [],
    outputs: [0, 1],
    chains: [{ inputs: [], outputs: [], instructions: [] }],
    operators: [],
    delegates: [],
    non_const_buffer_sizes: [0],
  });
  expect(plan("get_lowest")).toMatchObject({ values: [{ val_type: "Int", val: { int_val: -1 } }] });
  expect(plan("use_kv_cache")).toMatchObject({ values: [{ val_type: "Bool", val: { bool_val: true } }] });
  expect(plan("rope_theta")).toMatchObject({ values: [{ val_type: "Double", val: { double_val: 10000 } }] });
  expect(plan("get_template")).toMatchObject({
    values: [{ val_type: "String", val: { string_val: "{{ 'é𝄞' }}" } }],
    container_meta_type: { encoded_out_str: "$" },
  });
});

describe("named data", () => {
  test("is recorded with size and SHA-256", () => {
    expect(written.blobs).toEqual(
      Object.entries(sampleData).map(([key, data]) => ({
        key,
        size: data.length,
        sha256: createHash("sha256").update(data).digest("hex"),
      })),
    );
  });

  test("of equal contents is one segment", () => {
    const segment = (key: string) => json.named_data.find((entry) => entry.key === key)?.segment_index ?? 0;
    expect(segment("weight.1")).toBe(segment("weight.0"));
    expect(segment("weight.4")).toBe(segment("weight.3"));
    expect(json.segments.length).toBe(4 + 1);
    expect(written.sharedBytes).toBe(4000);
  });

  test("dropped at the end leaves nothing behind", async () => {
    const data = { a: noise(50_000, 1), b: noise(50_000, 1) };
    const { bytes } = await writeSample(sampleContents({ ...data, "weight.0": sampleData["weight.0"]! }));
    const { bytes: without } = await writeSample(
      sampleContents({ a: data.a, "weight.0": sampleData["weight.0"]! }),
    );
    expect(bytes.length - without.length).toBeLessThan(1000);
    const program = await readProgram(bytesSource("p", bytes));
    expect(await program.namedData.get("b")!.read(0, 50_000)).toEqual(data.b);
    expect(program.segments.map(({ size }) => size).slice(0, 2)).toEqual([50_000, 1000]);
  });

  test("may be empty, or none at all but what the graph needs", async () => {
    const { bytes } = await writeSample(sampleContents({ "weight.0": new Uint8Array(0) }));
    const program = await readProgram(bytesSource("p", bytes));
    expect(program.namedData.get("weight.0")?.size).toBe(0);
  });

  test("of another size than announced, or twice under a key, is refused", async () => {
    const short: NamedBlob = { ...namedBlob("a", noise(10, 1)), size: 11 };
    await expect(writeSample({ ...sampleContents(), namedData: [short] })).rejects.toThrow(
      "should have had 11 bytes",
    );
    const twice = [namedBlob("a", noise(10, 1)), namedBlob("a", noise(10, 2))];
    await expect(writeSample({ ...sampleContents(), namedData: twice })).rejects.toThrow("key a");
  });
});

test("the same contents give the same bytes, however they come and whatever was there before", async () => {
  const dirty = memorySink();
  await dirty.write(0, new Uint8Array(100_000).fill(0xee));
  const whole = Object.entries(sampleData).map(([key, data]) => ({
    key,
    size: data.length,
    async *stream() {
      yield data;
    },
  }));
  const { constantMethods } = sampleContents();
  const reversed = Object.fromEntries(Object.entries(constantMethods).reverse());
  await writeProgram({ ...sampleContents(), namedData: whole, constantMethods: reversed }, dirty);
  expect(dirty.bytes()).toEqual(bytes);
});

test("no more than a chunk of a blob is held", async () => {
  const chunkSize = 1 << 16;
  const chunks = 200;
  let largest = 0;
  const measure: Sink = {
    write: async (_, part) => {
      largest = Math.max(largest, part.length);
    },
    truncate: async () => {},
  };
  const large: NamedBlob = {
    key: "weight.0",
    size: chunkSize * chunks,
    async *stream() {
      const memory = new Uint8Array(chunkSize);
      for (let i = 0; i < chunks; i++) yield memory.fill(i);
    },
  };
  const { size } = await writeProgram({ ...sampleContents(), namedData: [large] }, measure);
  expect(size).toBeGreaterThan(chunkSize * chunks);
  expect(largest).toBe(chunkSize);
});

test("many blobs, many of them equal, leave room for the flatbuffer", async () => {
  for (const distinct of [1, 2, 300]) {
    const data = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`weight.${i}`, noise(10, i % distinct)]),
    );
    const { bytes } = await writeSample(sampleContents(data));
    const description = describeProgram(await readProgram(bytesSource("p", bytes)));
    expect(description.segments.length).toBe(distinct + 1);
  }
});

test("a tensor type that ExecuTorch lacks and a constant that is no integer are programming errors", async () => {
  const [method] = sampleContents().methods;
  const outputs = [{ name: "x", dtype: "tq2_0", shape: [256] }] as const;
  await expect(writeSample({ ...sampleContents(), methods: [{ ...method!, outputs }] })).rejects.toThrow(
    "tq2_0",
  );
  await expect(writeSample({ ...sampleContents(), constantMethods: { a: 0.5 } })).rejects.toThrow(
    "no integer",
  );
});
