import { describe, expect, it } from "vitest";
import type { Diagnostic } from "../../src/errors.ts";
import { readSafetensors } from "../../src/frontend/checkpoint/safetensors.ts";
import { readWeightFiles } from "../../src/frontend/checkpoint/weight-files.ts";
import { fileWeight, readWeight } from "../../src/ir/weights.ts";
import { bytesSource, memoryFiles } from "../../src/tensor/source.ts";
import { json, safetensorsFile, writeSafetensors } from "./write-checkpoint.ts";

async function read(bytes: Uint8Array) {
  const faults: Diagnostic[] = [];
  const tensors = await readSafetensors(
    bytesSource("/a/folder/model.safetensors", bytes),
    "model.safetensors",
    faults,
  );
  return { tensors, faults, messages: faults.map(({ code, message }) => `${code}: ${message}`) };
}

const entry = (dtype: string, shape: readonly number[], from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

describe("readSafetensors", () => {
  it("reads tensors of every dtype where they lie", async () => {
    const { tensors, faults } = await read(
      writeSafetensors({
        a: { dtype: "f32", shape: [2, 2], data: [1, -2, 3.5, 4] },
        b: { dtype: "bf16", shape: [3], data: [1, 0.5, -3] },
        c: { dtype: "u8", shape: [2], data: [7, 255] },
        d: { dtype: "i64", shape: [], data: [-5] },
        e: { dtype: "f16", shape: [0, 4], data: [] },
      }),
    );
    expect(faults).toEqual([]);
    const values = await Promise.all(
      tensors.map(async ({ name, bytes, dtype, shape }) => {
        const { data } = await readWeight(await fileWeight(bytes, dtype, shape));
        return [name, dtype, shape, Array.from(data)];
      }),
    );
    expect(values).toEqual([
      ["a", "f32", [2, 2], [1, -2, 3.5, 4]],
      ["b", "bf16", [3], [1, 0.5, -3]],
      ["c", "u8", [2], [7, 255]],
      ["d", "i64", [], [-5]],
      ["e", "f16", [0, 4], []],
    ]);
    expect(tensors[0]!.bytes.id).toBe("model.safetensors:a");
  });

  it.each([
    ["a file of 3 bytes", Uint8Array.of(1, 2, 3), "the file has 3 bytes"],
    [
      "a header longer than the file",
      safetensorsFile("{}", undefined, 1000),
      "claims to be 1000 bytes long, and at most 2",
    ],
    ["a length of 2^63", safetensorsFile("{}", undefined, 2 ** 63), "claims to be 9223372036854776000 bytes"],
    ["a header that is not JSON", safetensorsFile("{oops}"), "it is not JSON"],
    ["a header that is not an object", safetensorsFile("[1]"), "it is not a JSON object"],
    ["a header that is not UTF-8", new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]), "it is not JSON"],
  ])("refuses %s", async (_, bytes, message) => {
    const { messages } = await read(bytes);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain("safetensors-header");
    expect(messages[0]).toContain(message);
  });

  it("names every tensor whose entry is wrong, and reads the others", async () => {
    const header = {
      good: entry("F32", [2], 0, 8),
      backwards: entry("F32", [1], 8, 4),
      fp8: entry("F8_E4M3", [4], 8, 12),
      short: entry("BF16", [4, 4], 8, 16),
      shared: entry("F32", [2], 4, 12),
      negative: entry("F32", [-1], 8, 12),
      odd: { dtype: "F32", shape: [1] },
      fraction: entry("F32", [1], 0.5, 4.5),
    };
    const { tensors, messages } = await read(safetensorsFile(JSON.stringify(header), new Uint8Array(16)));
    expect(tensors.map(({ name }) => name)).toContain("good");
    const about = (name: string) =>
      messages.filter((message) => message.includes(` ${name} in the safetensors header`));
    expect(about("good")).toEqual([]);
    expect(about("backwards")[0]).toContain("it ends (4) before it begins (8)");
    expect(about("fp8")[0]).toContain("F8_E4M3");
    expect(about("short")[0]).toContain("BF16 [4,4] takes 32 bytes, and it has 8");
    expect(about("shared")[0]).toContain("shares bytes with good");
    expect(about("negative")[0]).toContain("shape.0");
    expect(about("odd")[0]).toContain("data_offsets");
    expect(about("fraction")[0]).toContain("data_offsets.0");
    expect(messages).toHaveLength(7);
  });

  it("sees bytes shared with a tensor further back", async () => {
    const header = {
      all: entry("U8", [12], 0, 12),
      one: entry("U8", [2], 0, 2),
      two: entry("U8", [2], 8, 10),
    };
    const { messages } = await read(safetensorsFile(JSON.stringify(header), new Uint8Array(12)));
    expect(messages).toHaveLength(2);
    expect(messages.every((message) => message.includes("shares bytes with all"))).toBe(true);
  });

  it("says once how many tensors a file cut short has lost", async () => {
    const bytes = writeSafetensors(
      Object.fromEntries(
        ["a", "b", "c"].map((name) => [name, { dtype: "f32", shape: [64], data: new Float32Array(64) }]),
      ),
    );
    const { tensors, faults } = await read(bytes.subarray(0, bytes.length - 300));
    expect(tensors.map(({ name }) => name)).toEqual(["a"]);
    expect(faults).toHaveLength(1);
    expect(faults[0]!.code).toBe("safetensors-truncated");
    expect(faults[0]!.message).toContain(
      `${bytes.length} bytes are needed, ${bytes.length - 300} are there; 2 tensors, b`,
    );
  });
});

describe("readWeightFiles", () => {
  const one = (name: string) => writeSafetensors({ [name]: { dtype: "f32", shape: [1], data: [1] } });
  const find = async (files: Record<string, Uint8Array>, chosen?: string) => {
    const faults: Diagnostic[] = [];
    const tensors = await readWeightFiles(memoryFiles("folder", files), chosen, faults);
    return { names: [...tensors.keys()], faults: faults.map(({ code, at }) => [code, at]) };
  };
  const index = (map: Record<string, string>) => json({ metadata: { total_size: 8 }, weight_map: map });

  it("reads model.safetensors, the shards of an index, or the only file there is", async () => {
    const single = { "model.safetensors": one("a"), "other.safetensors": one("b") };
    expect(await find(single)).toEqual({ names: ["a"], faults: [] });
    expect(await find(single, "other.safetensors")).toEqual({ names: ["b"], faults: [] });
    expect(await find({ "weights.safetensors": one("a") })).toEqual({ names: ["a"], faults: [] });
    const sharded = {
      "model.safetensors.index.json": index({ a: "x-1.safetensors", b: "x-2.safetensors" }),
      "x-1.safetensors": one("a"),
      "x-2.safetensors": one("b"),
    };
    expect(await find(sharded)).toEqual({ names: ["a", "b"], faults: [] });
  });

  it("refuses an index that names missing shards or tensors, and folders without or with too many files", async () => {
    const missing = {
      "model.safetensors.index.json": index({
        a: "x-1.safetensors",
        b: "x-2.safetensors",
        c: "x-3.safetensors",
      }),
      "x-1.safetensors": one("a"),
    };
    expect((await find(missing)).faults).toEqual([
      ["file-missing", "x-2.safetensors"],
      ["file-missing", "x-3.safetensors"],
    ]);
    const moved = { ...missing, "x-2.safetensors": one("b"), "x-3.safetensors": one("a") };
    expect((await find(moved)).faults).toEqual([["checkpoint-index", "x-3.safetensors"]]);
    expect((await find({ "model.safetensors.index.json": json({}) })).faults).toEqual([
      ["json-field", "model.safetensors.index.json"],
    ]);
    expect((await find({ "pytorch_model.bin": new Uint8Array() })).faults).toEqual([
      ["checkpoint-weights", "folder"],
    ]);
    const several = { "a.safetensors": one("a"), "b.safetensors": one("b") };
    expect((await find(several)).faults).toEqual([["checkpoint-weights", "folder"]]);
  });
});
