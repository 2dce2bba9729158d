import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { ExternalData, pathInFolder } from "../../src/frontend/onnx/external.ts";
import { readTensor } from "../../src/frontend/onnx/tensor.ts";
import { MessageReader } from "../../src/frontend/onnx/wire.ts";
import { readWeight, type WeightRef } from "../../src/ir/weights.ts";
import { bytesSource, memoryFiles, type Source } from "../../src/tensor/source.ts";
import { onnx, rawTensor, type TensorFields } from "./build-model.ts";

async function weightOf(fields: TensorFields, files: Record<string, Uint8Array> = {}): Promise<WeightRef> {
  const bytes = onnx.TensorProto.encode(fields).finish();
  return weightIn(bytesSource("model.onnx", bytes), files);
}

async function weightIn(source: Source, files: Record<string, Uint8Array> = {}): Promise<WeightRef> {
  const external = new ExternalData(memoryFiles("folder", files));
  const span = { from: 0, to: source.size };
  return (await readTensor(new MessageReader(source), span, external, "unnamed")).weight();
}

async function elements(fields: TensorFields) {
  const { dtype, shape, data } = await readWeight(await weightOf(fields));
  return [dtype, shape, Array.from(data)];
}

const codeOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "no error",
    (error: unknown) => (error instanceof BitnetcError ? error.code : String(error)),
  );

describe("typed data", () => {
  test("each type is in the field that onnx.proto says", async () => {
    expect(await elements({ dataType: 1, dims: [2], floatData: [1.5, -2] })).toEqual(["f32", [2], [1.5, -2]]);
    expect(await elements({ dataType: 11, dims: [1], doubleData: [0.1] })).toEqual(["f64", [1], [0.1]]);
    expect(await elements({ dataType: 7, dims: [3], int64Data: [-1, 0, 2 ** 40] })).toEqual([
      "i64",
      [3],
      [-1, 0, 2 ** 40],
    ]);
    expect(await elements({ dataType: 6, dims: [2], int32Data: [-5, 7] })).toEqual(["i32", [2], [-5, 7]]);
    expect(await elements({ dataType: 3, dims: [2], int32Data: [-128, 127] })).toEqual([
      "i8",
      [2],
      [-128, 127],
    ]);
    expect(await elements({ dataType: 9, dims: [2], int32Data: [1, 0] })).toEqual(["bool", [2], [1, 0]]);
    expect(await elements({ dataType: 12, dims: [1], uint64Data: [4294967295] })).toEqual([
      "u32",
      [1],
      [4294967295],
    ]);
  });

  test("int32_data holds the bits of 16-bit floats and packed small integers", async () => {
    expect(await elements({ dataType: 10, dims: [2], int32Data: [0x3c00, 0xc000] })).toEqual([
      "f16",
      [2],
      [1, -2],
    ]);
    expect(await elements({ dataType: 16, dims: [1], int32Data: [0xbf80] })).toEqual(["bf16", [1], [-1]]);
    // 0x8f: 15 = -1 in the low half, 8 = -8 in the high one; 0x07: 7, and a half that is not used.
    expect(await elements({ dataType: 22, dims: [3], int32Data: [0x8f, 0x07] })).toEqual([
      "i4",
      [3],
      [-1, -8, 7],
    ]);
    expect(await elements({ dataType: 25, dims: [4], int32Data: [0b11100100] })).toEqual([
      "u2",
      [4],
      [0, 1, 2, 3],
    ]);
  });

  test("elements with a tag each are read too", async () => {
    // data_type = 6, dims = 2, then int32_data twice, unpacked: field 5, wire type 0.
    const bytes = Uint8Array.from([8, 2, 16, 6, 40, 3, 40, 4]);
    expect((await weightIn(bytesSource("t", bytes))).inline?.data).toEqual(Int32Array.from([3, 4]));
  });

  test("large data is located, and decoded when asked for", async () => {
    const count = 5000;
    const weight = await weightOf({
      name: "w",
      dataType: 3,
      dims: [50, 100],
      int32Data: Array(count).fill(-3),
    });
    expect(weight.inline).toBeUndefined();
    expect(Array.from((await weight.rows(49, 50)).data)).toEqual(Array(100).fill(-3));
    const floats = await weightOf({
      dataType: 1,
      dims: [50, 100],
      floatData: Array.from({ length: count }, (_, i) => i),
    });
    expect(floats.whole).toBeUndefined();
    expect((await floats.rows(2, 3)).data[1]).toBe(201);
  });

  test("too few elements are an error", async () => {
    expect(await codeOf(weightOf({ dataType: 7, dims: [3], int64Data: [1, 2] }))).toBe("onnx-tensor-size");
    expect(await codeOf(weightOf({ dataType: 1, dims: [3] }))).toBe("onnx-tensor-size");
    expect(await codeOf(weightOf({ dataType: 1, dims: [3], floatData: [1, 2] }))).toBe("onnx-tensor-size");
  });
});

describe("raw data", () => {
  test("small tensors are held, large ones stay in the file", async () => {
    expect(await elements(rawTensor("x", 7, [2], BigInt64Array.from([-7n, 9n])))).toEqual([
      "i64",
      [2],
      [-7, 9],
    ]);
    const weight = await weightOf(
      rawTensor(
        "w",
        1,
        [64, 32],
        Float32Array.from({ length: 2048 }, (_, i) => i),
      ),
    );
    expect(weight.inline).toBeUndefined();
    expect((await weight.rows(1, 2)).data[0]).toBe(32);
  });

  test("reading the message does not read the data", async () => {
    const bytes = onnx.TensorProto.encode(
      rawTensor("w", 1, [1024, 1024], new Float32Array(1 << 20)),
    ).finish();
    let read = 0;
    const counting: Source = {
      ...bytesSource("big", bytes),
      read: async (from, to) => {
        read += to - from;
        return bytes.subarray(from, to);
      },
    };
    const weight = await weightIn(counting);
    expect(weight.shape).toEqual([1024, 1024]);
    expect(read).toBeLessThan(200_000);
  });

  test("scalars and empty tensors", async () => {
    expect(await elements(rawTensor("s", 1, [], Float32Array.of(3)))).toEqual(["f32", [], [3]]);
    expect(await elements({ dataType: 1, dims: [0, 4] })).toEqual(["f32", [0, 4], []]);
  });

  test("data that does not fit the shape, and types that are not supported", async () => {
    expect(await codeOf(weightOf(rawTensor("x", 1, [3], Float32Array.of(1, 2))))).toBe("onnx-tensor-size");
    expect(await codeOf(weightOf({ dataType: 8, dims: [1], stringData: [Uint8Array.of(65)] }))).toBe(
      "onnx-data-type",
    );
    await expect(weightOf(rawTensor("x", 17, [1], Uint8Array.of(0)))).rejects.toThrow("float8e4m3fn");
  });
});

describe("external data", () => {
  const fields = (entries: Record<string, string>): TensorFields => ({
    name: "w",
    dataType: 1,
    dims: [2],
    dataLocation: 1,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  });
  const file = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);

  test("offset and length", async () => {
    const at4 = await weightOf(fields({ location: "w.bin", offset: "4", length: "8" }), { "w.bin": file });
    expect(Array.from((await readWeight(at4)).data)).toEqual([2, 3]);
    const at0 = await weightOf(fields({ location: "./sub/../w.bin" }), { "w.bin": file });
    expect(Array.from((await readWeight(at0)).data)).toEqual([1, 2]);
  });

  test("files outside the folder are refused", async () => {
    for (const location of [
      "/etc/passwd",
      "../w.bin",
      "a/../../w.bin",
      "C:\\w.bin",
      "..\\w.bin",
      "\\\\host\\w",
      "file:w",
      "",
    ])
      expect(await codeOf(weightOf(fields({ location }), { "w.bin": file }))).toBe("onnx-external-path");
    expect(pathInFolder("a/./b//c")).toBe("a/b/c");
  });

  test("a missing file, a file that is too short, a length that is too short", async () => {
    expect(await codeOf(weightOf(fields({ location: "no.bin" }), { "w.bin": file }))).toBe(
      "onnx-external-missing",
    );
    const past = fields({ location: "w.bin", offset: "12" });
    expect(await codeOf(weightOf(past, { "w.bin": file }))).toBe("file-truncated");
    const short = fields({ location: "w.bin", length: "4" });
    expect(await codeOf(weightOf(short, { "w.bin": file }))).toBe("onnx-tensor-size");
  });
});
