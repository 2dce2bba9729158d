import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  absmeanCodes,
  absmeanScale,
  analyseTernary,
  hfPackedCodes,
  packedTernary,
  type TernaryFacts,
  ternaryCodes,
} from "../../src/ir/ternary.ts";
import { fileWeight, readWeight, type WeightRef } from "../../src/ir/weights.ts";
import { packedRowBytes, unpackTernary } from "../../src/packing/index.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { encodeElements, type TensorData, tensor } from "../../src/tensor/tensor.ts";

/** A weight in a file, which counts the bytes read from it. */
async function stored(dtype: DType, shape: readonly number[], data: TensorData | readonly number[]) {
  const bytes = encodeElements(dtype, tensor(dtype, shape, data).data);
  const reads = { bytes: 0, largest: 0 };
  const ref = await fileWeight(
    {
      id: "file[0]",
      size: bytes.length,
      read: async (from, to) => {
        reads.bytes += to - from;
        reads.largest = Math.max(reads.largest, to - from);
        return bytes.slice(from, to);
      },
    },
    dtype,
    shape,
  );
  return { ref, reads, bytes: bytes.length };
}

const random = (seed: number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
};

function randomCodes(count: number, seed: number): Int8Array<ArrayBuffer> {
  const next = random(seed);
  return new Int8Array(count).map(() => Math.floor(next() * 3) - 1);
}

const multiply = (codes: Int8Array, columns: number, scale: (row: number, column: number) => number) =>
  Float32Array.from(codes, (code, i) => code * scale(Math.floor(i / columns), i % columns));

async function facts(ref: WeightRef): Promise<TernaryFacts> {
  const found = await analyseTernary(ref);
  if ("miss" in found) throw new Error(found.miss);
  return found;
}

describe("analyseTernary", () => {
  const rows = 40;
  const columns = 192;
  const codes = randomCodes(rows * columns, 1);

  it.each(["f32", "f16", "bf16"] as const)("finds one scale for a tensor of %s", async (dtype) => {
    const { ref } = await stored(
      dtype,
      [rows, columns],
      multiply(codes, columns, () => 0.015625),
    );
    const found = await facts(ref);
    expect(found).toEqual({
      scale: tensor("f32", [1], [0.015625]),
      group: 0,
      zeros: codes.filter((code) => code === 0).length / codes.length,
    });
    expect((await readWeight(ternaryCodes(ref))).data).toEqual(codes);
  });

  it.each([1, 17, 66, 90, 101, 225])("finds the scale of rows of %i weights", async (k) => {
    const { ref } = await stored(
      "f32",
      [6, k],
      multiply(randomCodes(6 * k, k), k, () => 0.5),
    );
    expect(await facts(ref)).toMatchObject({ scale: tensor("f32", [1], [0.5]), group: 0 });
  });

  it("finds the scale as the type rounded it", async () => {
    const { ref } = await stored(
      "bf16",
      [rows, columns],
      multiply(codes, columns, () => 0.1),
    );
    expect((await facts(ref)).scale.data).toEqual(Float32Array.of(0.10009765625));
  });

  it("finds scales by row, and takes any for a row of zeros", async () => {
    const some = codes.slice();
    some.fill(0, 5 * columns, 6 * columns);
    const { ref } = await stored(
      "f32",
      [rows, columns],
      multiply(some, columns, (row) => (row < 20 ? 0.5 : 0.75)),
    );
    const { scale, group } = await facts(ref);
    expect(group).toBe(0);
    expect(scale.shape).toEqual([rows]);
    expect(Array.from(scale.data)).toEqual(
      Array.from({ length: rows }, (_, r) => (r === 5 ? 1 : r < 20 ? 0.5 : 0.75)),
    );
  });

  it.each([16, 32, 64, 48, 96])("finds scales by groups of %i along K", async (size) => {
    const scaleOf = (row: number, column: number) => 1 + row + Math.floor(column / size) / 16;
    const { ref } = await stored("f32", [rows, columns], multiply(codes, columns, scaleOf));
    const { scale, group } = await facts(ref);
    expect(group).toBe(size);
    expect(scale.shape).toEqual([rows, columns / size]);
    const wanted = Array.from(scale.data, (_, i) =>
      scaleOf(Math.floor(i / (columns / size)), (i % (columns / size)) * size),
    );
    expect(Array.from(scale.data)).toEqual(wanted);
  });

  it("finds shards of columns that only some rows show", async () => {
    const some = codes.slice();
    some.fill(0, 0, columns / 2); // row 0 lies in the second shard alone
    const { ref } = await stored(
      "f32",
      [rows, columns],
      multiply(some, columns, (_, c) => (c < 96 ? 0.25 : 0.5)),
    );
    const { scale, group } = await facts(ref);
    expect(group).toBe(96);
    expect(Array.from(scale.data.subarray(0, 4))).toEqual([0.5, 0.5, 0.25, 0.5]);
  });

  it("says which row does not fit, and how", async () => {
    const values = multiply(codes, columns, () => 0.5);
    values[3 * columns + 7] = 0.25;
    const count = values.subarray(3 * columns, 4 * columns).filter((value) => Math.abs(value) === 0.5).length;
    const { ref } = await stored("f32", [rows, columns], values);
    expect(await analyseTernary(ref)).toEqual({
      miss: `row 3 has 2 different magnitudes, 0.5 (${count} times) and 0.25 (once)`,
    });
    values[3 * columns + 7] = Number.NaN;
    const { ref: broken } = await stored("f32", [rows, columns], values);
    expect(await analyseTernary(broken)).toEqual({ miss: "row 3 has the value NaN" });
  });

  it("says so when scales change at places that no group size has", async () => {
    const { ref } = await stored(
      "f32",
      [rows, columns],
      multiply(codes, columns, (_, c) => (c < 80 ? 0.5 : 1)),
    );
    // the scale changes after 80 = 5 · 16 weights, so groups of 16 fit
    expect((await facts(ref)).group).toBe(16);
    const { ref: odd } = await stored(
      "f32",
      [10, 160],
      multiply(randomCodes(1600, 2), 160, (_, c) => (c < 40 ? 0.5 : 1)),
    );
    const found = await facts(odd);
    expect(found.group).toBe(40); // a quarter of K
    const { ref: none } = await stored(
      "f32",
      [10, 160],
      multiply(randomCodes(1600, 2), 160, (_, c) => (c < 8 ? 0.5 : 1)),
    );
    expect(await analyseTernary(none)).toEqual({ miss: expect.stringMatching(/^row 0 has/) });
  });

  it("takes a tensor of zeros", async () => {
    const { ref } = await stored("f32", [rows, columns], new Float32Array(rows * columns));
    expect(await analyseTernary(ref)).toEqual({
      scale: tensor("f32", [1], [1]),
      group: 0,
      zeros: 1,
    });
  });

  it("reads a weight once and in chunks, and stops early at one that is not ternary", async () => {
    const big = [600, 4096] as const;
    const ternary = await stored(
      "f32",
      big,
      multiply(randomCodes(600 * 4096, 3), 4096, () => 2),
    );
    await facts(ternary.ref);
    expect(ternary.reads.bytes).toBe(ternary.bytes);
    expect(ternary.reads.largest).toBeLessThan(ternary.bytes / 2);
    const next = random(4);
    const dense = await stored(
      "f32",
      big,
      new Float32Array(600 * 4096).map(() => next()),
    );
    expect(await analyseTernary(dense.ref)).toHaveProperty("miss");
    expect(dense.reads.bytes).toBe(dense.reads.largest);
  });

  it("agrees with what was built, for any scales that fit", async () => {
    const scales = fc.constantFrom(0.5, 0.75, 1, 3);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom(64, 128, 256),
        fc.constantFrom(16, 32, 64),
        fc.infiniteStream(scales),
        fc.integer(),
        async (n, k, size, stream, seed) => {
          const groups = k / size;
          const table = Array.from({ length: n * groups }, () => stream.next().value);
          const some = randomCodes(n * k, seed);
          const values = multiply(some, k, (row, column) => table[row * groups + Math.floor(column / size)]!);
          const { ref } = await stored("f32", [n, k], values);
          const { scale, group } = await facts(ref);
          const perRow = scale.data.length / n;
          const again = multiply(some, k, (row, column) =>
            scale.data.length === 1
              ? scale.data[0]!
              : scale.data[row * perRow + (group === 0 ? 0 : Math.floor(column / group))]!,
          );
          expect(again).toEqual(values);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("absmean quantisation", () => {
  it("does each step in f32 and leaves ties at zero", async () => {
    // mean|W| = (0.5 + 0.25 + 1 + 0.25) / 4 = 0.5, s = 2: W·s = 1, 0.5 (a tie), 2, -0.5 (a tie)
    const { ref } = await stored("f32", [2, 2], [0.5, 0.25, 1, -0.25]);
    expect((await readWeight(absmeanCodes(ref))).data).toEqual(Int8Array.of(1, 0, 1, 0));
    expect((await readWeight(absmeanScale(ref))).data).toEqual(Float32Array.of(0.5));
    // mean 0.3: s = fround(1 / fround(0.3)) = 3.3333332538604736, 1/s = 0.30000001192092896
    const { ref: third } = await stored("f32", [1, 3], [0.1, 0.3, -0.5]);
    expect((await readWeight(absmeanScale(third))).data).toEqual(
      Float32Array.of(Math.fround(1 / 3.3333332538604736)),
    );
    expect((await readWeight(absmeanCodes(third))).data).toEqual(Int8Array.of(0, 1, -1));
  });

  it("holds the mean of a tensor of zeros at 1e-5", async () => {
    const { ref } = await stored("bf16", [1, 4], [0, 0, 0, 0]);
    expect((await readWeight(absmeanCodes(ref))).data).toEqual(new Int8Array(4));
    const s = Math.fround(1 / Math.fround(1e-5));
    expect((await readWeight(absmeanScale(ref))).data).toEqual(Float32Array.of(Math.fround(1 / s)));
  });

  it("reads nothing before it is read, then one pass for the mean and one for the codes", async () => {
    const shape = [64, 512];
    const next = random(5);
    const { ref, reads, bytes } = await stored(
      "f32",
      shape,
      new Float32Array(64 * 512).map(() => next() - 0.5),
    );
    const codes = absmeanCodes(ref);
    const scale = absmeanScale(ref);
    expect(reads.bytes).toBe(0);
    await readWeight(scale);
    await readWeight(codes);
    await readWeight(scale);
    expect(reads.bytes).toBe(2 * bytes);
  });

  it("refuses weights that are not finite", async () => {
    const { ref } = await stored("f32", [1, 2], [1, Number.POSITIVE_INFINITY]);
    await expect(readWeight(absmeanCodes(ref))).rejects.toThrow("weight-not-finite");
  });
});

describe("hfPackedCodes", () => {
  /** pack_weights as its docstring tells it: row i·R + r of the matrix goes to bits 2i, 2i+1 of packed row r. */
  const pack = (codes: Int8Array, rows: number, columns: number): Uint8Array<ArrayBuffer> => {
    const packedRows = Math.ceil(rows / 4);
    const out = new Uint8Array(packedRows * columns);
    for (let n = 0; n < rows; n++)
      for (let k = 0; k < columns; k++) {
        const at = (n % packedRows) * columns + k;
        out[at] = out[at]! | ((codes[n * columns + k]! + 1) << (2 * Math.floor(n / packedRows)));
      }
    return out;
  };

  it("reads the example of its documentation", async () => {
    // 0b10100001 and 0b00011000 over 0b10010000 and 0b00001010
    const { ref } = await stored("u8", [2, 2], [0b10100001, 0b00011000, 0b10010000, 0b00001010]);
    const want = [0, -1, -1, 1, -1, 1, -1, 1, 1, 0, 0, -1, 1, -1, 1, -1];
    expect(Array.from((await readWeight(hfPackedCodes(ref, 8))).data)).toEqual(want);
  });

  it("reads any rows, also where they cross the quarters of the matrix", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 23 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer(),
        fc.tuple(fc.nat(22), fc.nat(22)),
        async (rows, columns, seed, [a, b]) => {
          const codes = randomCodes(rows * columns, seed);
          const { ref } = await stored("u8", [Math.ceil(rows / 4), columns], pack(codes, rows, columns));
          const from = Math.min(a, b, rows - 1);
          const to = Math.min(Math.max(a, b) + 1, rows);
          const read = await hfPackedCodes(ref, rows).rows(from, to);
          expect(read).toEqual(tensor("i8", [to - from, columns], codes.slice(from * columns, to * columns)));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("refuses code 3, and takes bytes saved as floats", async () => {
    const codes = randomCodes(8 * 300, 7);
    const bytes = pack(codes, 8, 300);
    const { ref: floats } = await stored("bf16", [2, 300], Float32Array.from(bytes));
    expect((await readWeight(hfPackedCodes(floats, 8))).data).toEqual(codes);
    bytes[300 + 12] = bytes[300 + 12]! | (3 << 4); // packed row 1, third quarter: row 2·2 + 1
    const { ref } = await stored("u8", [2, 300], bytes);
    await expect(readWeight(hfPackedCodes(ref, 8))).rejects.toThrow(/weight-packed-code.*row 5/);
    const { ref: wrong } = await stored("f32", [2, 2], [1, 2, 0.5, 3]);
    await expect(readWeight(hfPackedCodes(wrong, 8))).rejects.toThrow("weight-packed-byte");
  });
});

it.each(["tq2_0", "tq1_0"] as const)("packedTernary reads rows as %s bytes", async (dtype) => {
  const codes = randomCodes(10 * 300, 8);
  const { ref } = await stored("i8", [10, 300], codes);
  const packed = packedTernary(ref, dtype);
  expect(packed.dtype).toBe(dtype);
  expect(packed.shape).toEqual([10, 300]);
  const { data, shape } = await packed.rows(4, 7);
  expect(shape).toEqual([3, 300]);
  expect(data.length).toBe(3 * packedRowBytes(dtype, 300));
  expect(unpackTernary(dtype, data as Uint8Array, 3, 300)).toEqual(codes.subarray(4 * 300, 7 * 300));
});
