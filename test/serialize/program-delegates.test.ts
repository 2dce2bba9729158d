import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { chunksOf, readRange, type Segment } from "../../src/serialize/blob.ts";
import { describeProgram } from "../../src/serialize/describe-program.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { writeKernelProgram } from "../../src/serialize/program-writer.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { readVulkanBlob } from "../../src/serialize/vulkan-blob.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import {
  addend,
  addGraph,
  constantBytes,
  constantOffsets,
  constantTensors,
  kernelContents,
  writeKernelSample,
} from "./kernel-sample.ts";
import { namedBlob, noise } from "./sample.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const [, second, last] = constantTensors;
const keys = { addend: sha256(addend), second: sha256(second), last: sha256(last) };

const { bytes, written } = await writeKernelSample();
const program = await readProgram(bytesSource("model.pte", bytes));
const tables = describeProgram(program);
const base = program.header!.segmentBase;
const contentsOf = (segment: number): Uint8Array => {
  const { offset, size } = tables.segments[segment]!;
  return bytes.subarray(base + offset, base + offset + size);
};

describe("the file, byte by byte", () => {
  test("has the constants, ranges of them, texts, other data and delegates, by their offsets", () => {
    const [delegate = { size: 0 }] = tables.segments.slice(-1);
    const at = (offset: number, size: number) => ({ offset, size });
    expect(tables.segments).toEqual([
      at(0, constantBytes.length),
      at(constantOffsets[1], 24),
      at(constantOffsets[2], 24),
      at(128, 17),
      at(256, 24),
      at(384, delegate.size),
      at(384 + 128 * Math.ceil(delegate.size / 128), delegate.size),
      at(384 + 2 * 128 * Math.ceil(delegate.size / 128), delegate.size),
    ]);
    expect(tables.constantSegment).toEqual({ segment: 0, offsets: [0, 0] });
    expect(contentsOf(0)).toEqual(constantBytes);
  });

  test("has zeros between segments, and ends with the last", () => {
    const covered = new Uint8Array(bytes.length).fill(1, 0, program.header!.programSize);
    for (const { offset, size } of tables.segments) covered.fill(1, base + offset, base + offset + size);
    expect(bytes.filter((_, i) => covered[i] === 0).every((byte) => byte === 0)).toBe(true);
    expect(covered.at(-1)).toBe(1);
    expect(written.size).toBe(bytes.length);
    expect(base % 128).toBe(0);
  });
});

describe("data of delegates", () => {
  test("is named by its SHA-256, the texts by their names", () => {
    expect(tables.namedData).toEqual([
      { key: "tokenizer.json", segment: 3 },
      { key: keys.second, segment: 1 },
      { key: keys.last, segment: 2 },
      { key: keys.addend, segment: 4 },
    ]);
    for (const { key, segment } of tables.namedData.slice(1)) expect(sha256(contentsOf(segment))).toBe(key);
  });

  test("is there once", () => {
    const delegate = tables.segments.at(-1)!.size;
    expect(written.sharedBytes).toBe(addend.length + second.length + delegate);
    for (const part of [addend, second]) {
      const first = Buffer.from(bytes).indexOf(part);
      expect(first).toBeGreaterThan(base - 1);
      expect(Buffer.from(bytes).indexOf(part, first + 1)).toBe(-1);
    }
  });

  test("is hashed however the constants come", async () => {
    const large = noise(1000, 5);
    const ranges = [
      [0, 1000],
      [0, 1],
      [96, 8],
      [112, 777],
      [512, 0],
    ] as const;
    const { bytes } = await writeKernelSample({
      ...kernelContents(),
      constants: { blob: namedBlob("constants", large), offsets: [0, 0] },
      data: ranges.map(([offset, size]) => ({ key: `${offset} ${size}`, offset, size })),
      delegates: ranges.map(([offset, size]) => ({
        build: (keyOf) => Buffer.from(keyOf(`${offset} ${size}`)),
      })),
    });
    const { delegates, namedData } = await readProgram(bytesSource("model.pte", bytes));
    const { namedData: entries } = describeProgram(await readProgram(bytesSource("model.pte", bytes)));
    for (const [i, { data }] of delegates.entries()) {
      const [offset, size] = ranges[i]!;
      const part = large.subarray(offset, offset + size);
      const key = String(Buffer.from(await readRange("model.pte", data)));
      expect(key).toBe(sha256(part));
      expect(await readRange("model.pte", namedData.get(key)!)).toEqual(part);
    }
    expect(entries).toContainEqual({ key: sha256(large), segment: 0 });
  });

  test("that is within other data is no padding", async () => {
    const read = async (segment: Segment) => {
      const pieces: Uint8Array[] = [];
      const entry = { key: "part", size: segment.size, sha256: sha256(await segment.read(0, segment.size)) };
      for await (const piece of chunksOf("model.pte", segment, entry)) pieces.push(piece);
      return Buffer.concat(pieces).length;
    };
    for (const segment of program.segments) expect(await read(segment)).toBe(segment.size);
    expect(program.segments.slice(0, 5).map(({ padding }) => padding)).toEqual([40, 0, 0, 111, 104]);
  });
});

describe("delegates", () => {
  test("are the methods', each with its place, its specs and hashes of its blob and the head", () => {
    const { delegates } = tables.methods[0]!;
    const headSha256 = delegates[0]!.specs.find(({ key }) => key === "head_sha256")!.value;
    expect(delegates).toEqual(
      [5, 6, 7, 5].map((index) => ({
        id: "VulkanBackend",
        location: "SEGMENT",
        index,
        specs: [
          { key: "require_dynamic_shapes", value: "00" },
          { key: "sha256", value: sha256(contentsOf(index)) },
          { key: "head_sha256", value: headSha256 },
        ],
      })),
    );
    const head = Buffer.from(bytes.subarray(0, base));
    const hash = Buffer.from(headSha256, "hex");
    for (let at = head.indexOf(hash); at >= 0; at = head.indexOf(hash)) head.fill(0, at, at + hash.length);
    expect(sha256(head)).toBe(headSha256);
  });

  test("name the data", async () => {
    const graphs = await Promise.all(
      program.delegates.map(async ({ data }) => (await readVulkanBlob(data, "model.pte")).graph),
    );
    expect(graphs).toEqual([keys.addend, keys.second, keys.last, keys.addend].map(addGraph));
  });

  test("that name what is not there are programming errors", async () => {
    const delegates = kernelContents().delegates!.map(() => ({
      build: (keyOf: (key: string) => string) => Buffer.from(keyOf("nothing")),
    }));
    await expect(writeKernelSample({ ...kernelContents(), delegates })).rejects.toThrow("names nothing");
  });
});

test("a range beyond the constants, and two data of one key, are programming errors", async () => {
  const range = { key: "range", offset: 80, size: 16 };
  const write = (data: readonly (typeof range)[]) => writeKernelSample({ ...kernelContents(), data });
  await expect(write([range])).rejects.toThrow("range ends at 96 of 88 bytes");
  await expect(write([{ ...range, size: 8 }, range])).rejects.toThrow("key range");
});

test("the same contents give the same bytes, however they come and whatever was there before", async () => {
  const dirty = memorySink();
  await dirty.write(0, new Uint8Array(100_000).fill(0xee));
  const contents = kernelContents();
  const whole = {
    key: "constants",
    size: constantBytes.length,
    async *stream() {
      for (const byte of constantBytes) yield Uint8Array.of(byte);
    },
  };
  await writeKernelProgram({ ...contents, constants: { ...contents.constants, blob: whole } }, dirty);
  expect(dirty.bytes()).toEqual(bytes);
});

test("many data, many of them equal, leave room for the flatbuffer", async () => {
  for (const distinct of [1, 2, 60]) {
    const data = Array.from({ length: 60 }, (_, i) => namedBlob(`data.${i}`, noise(10, i % distinct)));
    const { bytes } = await writeKernelSample({
      ...kernelContents(),
      data,
      delegates: kernelContents().delegates!.map(() => ({ build: () => Uint8Array.of(1) })),
    });
    const program = await readProgram(bytesSource("model.pte", bytes));
    expect(program.segments.length).toBe(2 + distinct + 1);
    expect(program.namedData.size).toBe(1 + distinct);
  }
});

test("a program needs no delegates, and no constants", async () => {
  const { delegates: _, data: __, ...contents } = kernelContents();
  const [method] = contents.methods;
  const { bytes } = await writeKernelSample({
    ...contents,
    methods: [{ ...method!, chains: [], delegates: [] }],
    constants: { blob: namedBlob("constants", new Uint8Array()), offsets: [0] },
  });
  const program = await readProgram(bytesSource("model.pte", bytes));
  expect(program.delegates).toEqual([]);
  expect(program.segments.map(({ size }) => size)).toEqual([0, 17]);
});
