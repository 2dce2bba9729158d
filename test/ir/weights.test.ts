import { describe, expect, test } from "vitest";
import {
  castWeight,
  computedWeight,
  fileWeight,
  inlineLimit,
  inlineWeight,
  mapRows,
  memoryWeight,
  readWeight,
  reshapeWeight,
  rowCount,
  rowSize,
  scaleWeight,
  sliceRows,
  streamRows,
  transposeWeight,
  type WeightRef,
} from "../../src/ir/weights.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { byteRange, bytesSource } from "../../src/tensor/source.ts";
import { elementCount, encodeElements, type Tensor, tensor } from "../../src/tensor/tensor.ts";

/** Numbers that every type of at least 2 bits holds. */
const counting = (dtype: DType, shape: readonly number[]): Tensor =>
  tensor(
    dtype,
    shape,
    Array.from({ length: elementCount(shape) }, (_, i) => (i * 7 + (i >> 4)) % (dtype === "i2" ? 2 : 4)),
  );

/** A weight in the middle of a file, and what was read of it, as offsets into the weight. */
async function stored(value: Tensor) {
  const elements = encodeElements(value.dtype, value.data);
  const file = new Uint8Array(elements.byteLength + 20).fill(0xaa);
  file.set(elements, 12);
  const source = bytesSource("model.bin", file);
  const reads: [number, number][] = [];
  const range = byteRange(
    {
      ...source,
      read: (from, to) => {
        reads.push([from - 12, to - 12]);
        return source.read(from, to);
      },
    },
    12,
    elements.byteLength,
  );
  return { ref: await fileWeight(range, value.dtype, value.shape), reads };
}

const listOf = async (ref: WeightRef): Promise<number[]> => Array.from((await readWeight(ref)).data);
async function chunksOf(ref: WeightRef, elements: number): Promise<Tensor[]> {
  const chunks: Tensor[] = [];
  for await (const chunk of streamRows(ref, elements)) chunks.push(chunk);
  return chunks;
}

describe("a weight in a file", () => {
  test.each<[DType, readonly number[], [number, number]]>([
    ["f32", [100, 20], [10 * 80, 13 * 80]],
    ["f16", [100, 20], [10 * 40, 13 * 40]],
    ["i64", [100, 4, 5], [10 * 160, 13 * 160]],
    ["u4", [100, 20], [10 * 10, 13 * 10]],
    ["i2", [100, 4, 5], [10 * 5, 13 * 5]],
  ])("%s %j is read by rows", async (dtype, shape, bytes) => {
    const value = counting(dtype, shape);
    const { ref, reads } = await stored(value);
    expect(ref.inline).toBeUndefined();
    expect(reads).toEqual([]);
    expect(await ref.rows(10, 13)).toEqual(sliceRows(value, 10, 13));
    expect(reads).toEqual([bytes]);
  });

  test.each<[DType, readonly number[]]>([
    ["u2", [2, 1023]],
    ["u2", [3, 1023]],
    ["i2", [5, 1022]],
    ["u4", [3, 1023]],
    ["i4", [1, 2049]],
  ])("%s %j is read right where rows begin inside of a byte", async (dtype, shape) => {
    const value = counting(dtype, shape);
    const { ref } = await stored(value);
    expect(ref.whole).toBe(true);
    for (let row = 0; row < shape[0]!; row++)
      expect(await ref.rows(row, row + 1)).toEqual(sliceRows(value, row, row + 1));
    expect(await readWeight(ref)).toEqual(value);
  });

  test("is in memory when it is small", async () => {
    const value = counting("f32", [2, 3]);
    const { ref } = await stored(value);
    expect(ref.inline).toEqual(value);
    expect(await ref.rows(1, 2)).toEqual(tensor("f32", [1, 3], value.data.subarray(3)));
    const { ref: scalar } = await stored(tensor("f32", [], [5]));
    expect(await readWeight(scalar)).toEqual(tensor("f32", [], [5]));
    const { ref: empty } = await stored(tensor("f32", [0, 4]));
    expect(await readWeight(empty)).toEqual(tensor("f32", [0, 4]));
  });
});

describe("streaming", () => {
  test.each([
    [1000, 20, 50],
    [59, 20, 2],
    [7, 50, 1],
    [1 << 20, 20, 1000],
  ])("chunks of %i elements: rows of %i, %i at a time", async (elements, width, rows) => {
    const value = counting("f32", [1000, width]);
    const { ref, reads } = await stored(value);
    const chunks = await chunksOf(ref, elements);
    expect(chunks[0]!.shape).toEqual([rows, width]);
    const largest = Math.max(...reads.map(([from, to]) => to - from));
    expect(largest).toBe(rows * width * 4);
    expect(largest).toBeLessThanOrEqual(Math.max(elements, width) * 4);
    expect(chunks.flatMap(({ data }) => Array.from(data))).toEqual(Array.from(value.data));
  });

  test("reads in one piece what cannot be read in parts", async () => {
    let computed = 0;
    const ref = computedWeight("sum", "f32", [30, 2], async () => {
      computed++;
      return counting("f32", [30, 2]);
    });
    expect((await chunksOf(ref, 4)).map(({ shape }) => shape)).toEqual([[30, 2]]);
    expect(computed).toBe(1);
    expect((await ref.rows(3, 5)).data).toEqual(counting("f32", [30, 2]).data.subarray(6, 10));
    expect(computed).toBe(2);
  });

  test("of no rows yields nothing", async () => {
    expect(await chunksOf(inlineWeight(tensor("f32", [0, 4])), 8)).toEqual([]);
  });
});

describe("a weight under another shape", () => {
  test.each([
    [
      [60, 40],
      [60, 8, 5],
      [10, 12],
    ],
    [
      [60, 40],
      [30, 80],
      [5, 6],
    ],
    [
      [60, 40],
      [240, 10],
      [42, 47],
    ],
    [[60, 40], [2400], [401, 499]],
    [[2400], [60, 40], [10, 12]],
    [
      [60, 40],
      [160, 15],
      [27, 33],
    ],
    [
      [60, 40],
      [1, 60, 40],
      [0, 1],
    ],
  ])("%j as %j has the same elements, and is read in parts", async (before, after, [from, to]) => {
    const value = counting("f32", before!);
    const { ref, reads } = await stored(value);
    const shaped = reshapeWeight(ref, after!);
    expect([shaped.shape, shaped.dtype, shaped.whole]).toEqual([after, "f32", undefined]);
    const expected = sliceRows({ ...value, shape: after! }, from!, to!);
    expect(await shaped.rows(from!, to!)).toEqual(expected);
    const [[start, end]] = reads as [[number, number]];
    const [rowBefore, row] = [rowSize(ref) * 4, rowSize(shaped) * 4];
    expect(start).toBeGreaterThan(from! * row - rowBefore);
    expect(end).toBeLessThan(to! * row + rowBefore);
  });

  test("is the weight itself when the shape is its own", async () => {
    const { ref } = await stored(counting("f32", [60, 40]));
    expect(reshapeWeight(ref, [60, 40])).toBe(ref);
  });

  test("stays in memory", () => {
    expect(reshapeWeight(inlineWeight(tensor("f32", [1, 1], [5])), []).inline).toEqual(
      tensor("f32", [], [5]),
    );
  });

  test("must have as many elements", () => {
    expect(() => reshapeWeight(inlineWeight(tensor("f32", [2, 3])), [5])).toThrow("has no shape [5]");
  });

  test("is read in one piece when its rows are parts of one huge row", () => {
    const shape = [1, 1 << 14, 1 << 10];
    const huge: WeightRef = { id: "huge", dtype: "f32", shape, rows: () => Promise.reject(new Error()) };
    expect(reshapeWeight(huge, [1 << 14, 1 << 10]).whole).toBe(true);
    expect(reshapeWeight(huge, [1, 1 << 24]).whole).toBeUndefined();
  });
});

describe("casts and factors", () => {
  test("round to the type, by rows", async () => {
    const value = tensor("f32", [100, 20]);
    value.data.fill(0.1);
    const { ref, reads } = await stored(value);
    const cast = castWeight(ref, "bf16");
    expect(cast.dtype).toBe("bf16");
    expect(cast.id).not.toBe(ref.id);
    expect((await cast.rows(2, 3)).data.every((each) => each === 0.10009765625)).toBe(true);
    expect(reads).toEqual([[160, 240]]);
    const half = scaleWeight(castWeight(ref, "f16"), 3);
    // 3 · 1638 · 2^-14 = 1228.5 · 2^-12, a tie
    expect((await half.rows(0, 1)).data[0]).toBe(1228 * 2 ** -12);
  });

  test("to the same are nothing", async () => {
    const { ref } = await stored(counting("f32", [100, 20]));
    expect(castWeight(ref, "f32")).toBe(ref);
    expect(scaleWeight(ref, 1)).toBe(ref);
  });

  test("of small weights are done at once", () => {
    const small = inlineWeight(tensor("f32", [2], [1, -2]));
    expect(castWeight(small, "f16").inline).toEqual(tensor("f16", [2], [1, -2]));
    expect(scaleWeight(small, -0.5).inline).toEqual(tensor("f32", [2], [-0.5, 1]));
  });

  test("are for floats", () => {
    expect(() => castWeight(inlineWeight(tensor("f32", [1], [1.5])), "i64")).toThrow("i64 is no float type");
  });
});

describe("the transpose", () => {
  test("of a matrix in a file", async () => {
    const value = counting("f32", [60, 40]);
    const { ref } = await stored(value);
    const transposed = transposeWeight(ref);
    expect([transposed.shape, transposed.whole]).toEqual([[40, 60], true]);
    const { data } = await transposed.rows(7, 8);
    expect(Array.from(data)).toEqual(Array.from({ length: 60 }, (_, row) => value.data[row * 40 + 7]));
  });

  test("of a transpose is the matrix itself", async () => {
    const { ref } = await stored(counting("f32", [60, 40]));
    expect(transposeWeight(transposeWeight(ref))).toBe(ref);
    const small = inlineWeight(counting("i8", [2, 3]));
    expect(transposeWeight(transposeWeight(small))).toBe(small);
  });

  test("of a small matrix is in memory", () => {
    const small = inlineWeight(tensor("i8", [2, 3], [1, 2, 3, 4, 5, 6]));
    expect(transposeWeight(small).inline).toEqual(tensor("i8", [3, 2], [1, 4, 2, 5, 3, 6]));
  });

  test.each([[[4]], [[2, 3, 4]], [[]]])("of the shape %j is refused", (shape) => {
    expect(() => transposeWeight(inlineWeight(tensor("f32", shape)))).toThrow("is no matrix");
  });
});

describe("ids", () => {
  test("tell contents, types and shapes of small weights apart", () => {
    const ids = [
      tensor("f32", [2], [1, 2]),
      tensor("f32", [2, 1], [1, 2]),
      tensor("f16", [2], [1, 2]),
      tensor("f32", [2], [1, 3]),
      tensor("f32", [2], [0, 2]),
      tensor("f32", [2], [-0, 2]),
      tensor("f32", [2], [Number.NaN, 2]),
      tensor("f32", [2], [Infinity, 2]),
    ].map((value) => inlineWeight(value).id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(inlineWeight(tensor("f32", [2], [1, 2])).id).toBe(ids[0]);
  });

  test("grow with every step", async () => {
    const { ref } = await stored(counting("f32", [60, 40]));
    const steps = [
      ref,
      reshapeWeight(ref, [40, 60]),
      reshapeWeight(ref, [2400]),
      transposeWeight(ref),
      castWeight(ref, "f16"),
      scaleWeight(ref, 2),
      scaleWeight(ref, 3),
      mapRows(ref, "negate", ref, (chunk) => chunk),
    ];
    expect(new Set(steps.map(({ id }) => id)).size).toBe(steps.length);
  });
});

test("mapped rows know where they are, and whether they come in one piece", async () => {
  const whole = computedWeight("w", "f32", [10, 2], async () => counting("f32", [10, 2]));
  const mapped = mapRows(whole, "row", { dtype: "i32", shape: [10] }, (chunk, from) =>
    tensor(
      "i32",
      [rowCount(chunk)],
      Array.from({ length: rowCount(chunk) }, (_, i) => from + i),
    ),
  );
  expect(mapped.whole).toBe(true);
  expect(await listOf(mapped)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect((await mapped.rows(4, 6)).data).toEqual(Int32Array.of(4, 5));
});

test("what was computed is held in the graph only when it is small", async () => {
  expect(memoryWeight(tensor("f32", [inlineLimit])).inline).toBeDefined();
  const large = memoryWeight(counting("f32", [inlineLimit + 1]));
  expect(large.inline).toBeUndefined();
  expect((await large.rows(1, 3)).data).toEqual(counting("f32", [3]).data.subarray(1));
});

test("what was computed goes by its contents", () => {
  const idOf = (shape: readonly number[], first = 0): string => {
    const value = tensor("f32", shape);
    value.data[0] = first;
    return memoryWeight(value).id;
  };
  const size = inlineLimit * 2;
  expect(idOf([size])).toBe(idOf([size]));
  expect(new Set([idOf([size]), idOf([2, size / 2]), idOf([size], 1)]).size).toBe(3);
});
