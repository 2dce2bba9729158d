import { afterAll, beforeAll, expect, test } from "vitest";
import { packTernary } from "../../src/packing/index.ts";
import type { ProgramGraph } from "../../src/runtime/graph.ts";
import { DeviceGuard } from "../../src/runtime/webgpu/guard.ts";
import type { Plan, WeightPart } from "../../src/runtime/webgpu/plan.ts";
import { fillWeights } from "../../src/runtime/webgpu/weights.ts";
import type { DType, TernaryDType } from "../../src/tensor/dtype.ts";
import { encodeElements, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { testDevice } from "../support/gpu.ts";

let device: GPUDevice;
beforeAll(async () => {
  device = await testDevice();
});
afterAll(() => device.destroy());

interface Constant {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array | Tensor;
}
type Part = Omit<WeightPart, "layout"> & { readonly layout?: WeightPart["layout"] };

/** What buffers of the given parts hold once they are filled. Constants come in pieces of `pieceSize` bytes. */
async function filled(
  constants: readonly Constant[],
  buffers: readonly { readonly size: number; readonly parts: readonly Part[] }[],
  pieceSize = 1000,
): Promise<{ contents: Uint8Array[]; progress: (readonly [number, number])[] }> {
  const graph: ProgramGraph = {
    values: constants,
    constants: constants.map(({ bytes }, value) =>
      bytes instanceof Uint8Array ? { value, key: `blob ${value}` } : { value, inline: bytes },
    ),
    inputs: [],
    outputs: [],
    states: [],
    dims: [],
    nodes: [],
  };
  const plan: Plan = {
    symbols: [],
    modules: [],
    pipelines: [],
    variants: [],
    buffers: buffers.map(({ size, parts }) => ({
      kind: "weights",
      size,
      parts: parts.map((part) => ({ layout: "plain", ...part })),
    })),
  };
  const memory = buffers.map(({ size }) =>
    device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC }),
  );
  const bytesOf = (key: string) => constants[Number(key.slice(5))]!.bytes as Uint8Array;
  const blobs = {
    blobs: new Map(
      graph.constants.flatMap((each) =>
        "key" in each ? [[each.key, { size: bytesOf(each.key).length }]] : [],
      ),
    ),
    async *chunks(key: string) {
      const bytes = bytesOf(key);
      for (let at = 0; at < bytes.length; at += pieceSize) yield bytes.slice(at, at + pieceSize);
    },
  };
  const progress: (readonly [number, number])[] = [];
  await fillWeights(new DeviceGuard(device), device.queue, graph, plan, memory, blobs, (...seen) =>
    progress.push(seen),
  );
  const contents: Uint8Array[] = [];
  for (const buffer of memory) {
    const copy = device.createBuffer({
      size: buffer.size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    contents.push(new Uint8Array(copy.getMappedRange()).slice());
    copy.destroy();
    buffer.destroy();
  }
  return { contents, progress };
}

const someBytes = (count: number, seed = 1): Uint8Array => {
  const bytes = new Uint8Array(count);
  for (let i = 0, state = seed; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
};

const someCodes = (count: number): Int8Array => {
  const codes = new Int8Array(someBytes(count).buffer);
  for (let i = 0; i < count; i++) codes[i] = codes[i]! % 2;
  return codes;
};

/** The codes of packed rows without the scale behind each block. */
function withoutScales(codes: Int8Array, rows: number, columns: number): Uint8Array {
  const packed = packTernary("tq2_0", codes, rows, columns);
  const blocks = packed.length / 66;
  const bytes = new Uint8Array(blocks * 64);
  for (let i = 0; i < blocks; i++) bytes.set(packed.subarray(i * 66, i * 66 + 64), i * 64);
  return bytes;
}

test("constants lie one behind the other, and parts of them in several buffers", async () => {
  const [a, b] = [someBytes(1003, 1), someBytes(5000, 2)];
  const { contents, progress } = await filled(
    [
      { dtype: "i8", shape: [1003], bytes: a },
      { dtype: "u8", shape: [50, 100], bytes: b },
    ],
    [
      {
        size: 4000,
        parts: [
          { value: 0, from: 0, size: 1003, offset: 0 },
          { value: 1, from: 1200, size: 2700, offset: 1004 },
        ],
      },
      {
        size: 8000,
        parts: [
          { value: 1, from: 3900, size: 1100, offset: 256 },
          { value: 1, from: 0, size: 5000, offset: 2560 },
        ],
      },
    ],
    777,
  );
  const [first, second] = [new Uint8Array(4000), new Uint8Array(8000)];
  first.set(a);
  first.set(b.subarray(1200, 3900), 1004);
  second.set(b.subarray(3900, 5000), 256);
  second.set(b, 2560);
  expect(contents).toEqual([first, second]);
  expect(progress.at(0)).toEqual([777, 6003]);
  expect(progress.at(-1)).toEqual([6003, 6003]);
});

test("what does not fit in one round of copying is whole", async () => {
  const bytes = someBytes(5_000_002);
  const { contents } = await filled(
    [{ dtype: "f16", shape: [2_500_001], bytes }],
    [
      { size: 5_000_004, parts: [{ value: 0, from: 0, size: 5_000_002, offset: 0 }] },
      { size: 1_000_000, parts: [{ value: 0, from: 1_999_996, size: 999_990, offset: 4 }] },
    ],
    1_234_567,
  );
  expect(Buffer.compare(contents[0]!.subarray(0, bytes.length), bytes)).toBe(0);
  expect([...contents[0]!.subarray(bytes.length)]).toEqual([0, 0]);
  expect(Buffer.compare(contents[1]!.subarray(4, 999_994), bytes.subarray(1_999_996, 2_999_986))).toBe(0);
});

test("64-bit elements and bools become words", async () => {
  const integers = tensor("i64", [4], Float64Array.of(1, -2, 2 ** 40, -(2 ** 63)));
  const bools = tensor("bool", [3], Uint8Array.of(1, 0, 7));
  const doubles = tensor("f64", [2], Float64Array.of(0.5, Number.NEGATIVE_INFINITY));
  const words = Int32Array.of(1, -2, 2 ** 31 - 1, -(2 ** 31));
  for (const asBlob of [false, true]) {
    const constant = (each: Tensor): Constant => ({
      ...each,
      bytes: asBlob ? encodeElements(each.dtype, each.data) : each,
    });
    const { contents } = await filled(
      [constant(integers), constant(bools), constant(doubles)],
      [
        {
          size: 36,
          parts: [
            { value: 0, from: 0, size: 16, offset: 0 },
            { value: 1, from: 0, size: 12, offset: 16 },
            { value: 2, from: 0, size: 8, offset: 28 },
          ],
        },
      ],
      5,
    );
    const expected = new Uint8Array(36);
    expected.set(new Uint8Array(words.buffer));
    expected.set(new Uint8Array(Uint32Array.of(1, 0, 1).buffer), 16);
    expected.set(new Uint8Array(Float32Array.of(0.5, Number.NEGATIVE_INFINITY).buffer), 28);
    expect(contents[0]).toEqual(expected);
  }
});

for (const dtype of ["tq2_0", "tq1_0"] as const satisfies readonly TernaryDType[]) {
  const layout = "ternary-codes";

  test(`${dtype} becomes codes without scales, however its pieces are cut`, async () => {
    const [rows, columns] = [7, 700];
    const codes = someCodes(rows * columns);
    const bytes = packTernary(dtype, codes, rows, columns);
    const expected = withoutScales(codes, rows, columns);
    for (const pieceSize of [1, 53, 66, 1001, 10_000]) {
      const { contents } = await filled(
        [{ dtype, shape: [rows, columns], bytes }],
        [
          { size: expected.length, parts: [{ value: 0, layout, from: 0, size: expected.length, offset: 0 }] },
          // rows 2 to 4, and row 6
          {
            size: 2000,
            parts: [
              { value: 0, layout, from: 2 * 192, size: 3 * 192, offset: 512 },
              { value: 0, layout, from: 6 * 192, size: 192, offset: 256 },
            ],
          },
        ],
        pieceSize,
      );
      expect(Buffer.compare(contents[0]!, expected)).toBe(0);
      expect(Buffer.compare(contents[1]!.subarray(512, 1088), expected.subarray(384, 960))).toBe(0);
      expect(Buffer.compare(contents[1]!.subarray(256, 448), expected.subarray(1152))).toBe(0);
    }
  });

  test(`${dtype} of many rounds is whole`, async () => {
    const [rows, columns] = [300, 33_000];
    const codes = someCodes(rows * columns);
    const bytes = packTernary(dtype, codes, rows, columns);
    const expected = withoutScales(codes, rows, columns);
    const { contents } = await filled(
      [{ dtype, shape: [rows, columns], bytes }],
      [{ size: expected.length, parts: [{ value: 0, layout, from: 0, size: expected.length, offset: 0 }] }],
      1_000_003,
    );
    expect(Buffer.compare(contents[0]!, expected)).toBe(0);
  });

  test(`${dtype} with bytes that stand for no weights, or with scales, is refused`, async () => {
    const size = dtype === "tq2_0" ? 66 : 54;
    const [rows, columns] = [3, 512];
    const packed = packTernary(dtype, someCodes(rows * columns), rows, columns);
    const fill = (change: (bytes: Uint8Array) => void) => {
      const bytes = packed.slice();
      change(bytes);
      return filled(
        [{ dtype, shape: [rows, columns], bytes }],
        [{ size: 384, parts: [{ value: 0, layout, from: 0, size: 384, offset: 0 }] }],
      );
    };
    const at = (block: number, byte: number) => block * size + byte;
    for (const byte of [0, 33, size - 3]) {
      await expect(
        fill((bytes) => {
          bytes[at(5, byte)] = 255;
          // 255 stands for weights where five are in a byte
          if (dtype === "tq1_0") bytes[at(5, byte)] = 1;
        }),
      ).rejects.toThrow(/row 2, block 1/);
    }
    await expect(
      fill((bytes) => {
        bytes[at(2, size - 1)] = 0x40;
      }),
    ).rejects.toThrow(/has the scale 2[\s\S]*row 1, block 0/);
    const zeros = packTernary(dtype, new Int8Array(256), 1, 256);
    const { contents } = await fill((bytes) => {
      bytes.set(zeros.subarray(0, size - 2), at(3, 0));
      bytes.fill(0, at(3, size - 2), at(4, 0));
    });
    expect(contents[0]!.subarray(192, 256).every((byte) => byte === 0x55)).toBe(true);
  });
}

test("a plan that takes more than there is does not run", async () => {
  const constant: Constant = { dtype: "i8", shape: [100], bytes: someBytes(100) };
  const parts = [{ value: 0, from: 0, size: 104, offset: 0 }];
  await expect(filled([constant], [{ size: 104, parts }])).rejects.toThrow("fewer bytes");
});
