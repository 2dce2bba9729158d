import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { q4Group, q4Parts, q4Weight } from "../../src/ir/q4.ts";
import {
  castWeight,
  inlineWeight,
  memoryWeight,
  readWeight,
  streamRows,
  transposeWeight,
  type WeightRef,
} from "../../src/ir/weights.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { randomTensor } from "../ops/harness.ts";

/** Groups of 32, which begin with these numbers and go on with zeros. */
const groups = (...rows: readonly (readonly (readonly number[])[])[]): Tensor => {
  const filled = rows.flatMap((row) =>
    row.flatMap((group) => [...group, ...Array<number>(q4Group - group.length).fill(0)]),
  );
  return tensor("f32", [rows.length, rows[0]!.length * q4Group], filled);
};

interface Quantized {
  readonly values: number[];
  readonly codes: number[];
  readonly scales: number[];
}
async function quantized(ref: WeightRef): Promise<Quantized> {
  const weight = q4Weight(ref);
  const parts = q4Parts(weight)!;
  const [values, codes, scales] = await Promise.all([weight, parts.codes, parts.scales].map(readWeight));
  const [rows, columns] = ref.shape as [number, number];
  expect(values).toMatchObject({ dtype: "f32", shape: ref.shape });
  expect(codes).toMatchObject({ dtype: "i8", shape: ref.shape });
  expect(scales).toMatchObject({ dtype: "f32", shape: [rows, columns / q4Group] });
  return { values: [...values!.data], codes: [...codes!.data], scales: [...scales!.data] };
}

/** q4 by its definition, a group at a time. */
function naive({ data }: Tensor): Quantized {
  const result: Quantized = { values: [], codes: [], scales: [] };
  for (let from = 0; from < data.length; from += q4Group) {
    const group = Array.from(data.subarray(from, from + q4Group));
    const most = Math.max(...group.map(Math.abs));
    const furthest = group.find((weight) => Math.abs(weight) === most)!;
    const scale = Math.fround(furthest / -8) || 1;
    const codes = group.map((weight) => {
      const ratio = Math.fround(weight / scale);
      // Halves go up.
      return Math.min(7, Math.max(-8, Math.floor(ratio + 0.5))) + 0;
    });
    result.scales.push(scale);
    result.codes.push(...codes);
    result.values.push(...codes.map((code) => Math.fround(code * scale)));
  }
  return result;
}

describe("q4", () => {
  test("the weight furthest from 0 is -8 times the scale, whatever its sign, and 8 times it becomes 7", async () => {
    const ref = inlineWeight(groups([[-8, 1, 2.25, 7, 8]], [[16, 2, -2, -14, -16]]));
    const { codes, scales, values } = await quantized(ref);
    expect(scales).toEqual([1, -2]);
    expect(codes.slice(0, 6)).toEqual([-8, 1, 2, 7, 7, 0]);
    expect(codes.slice(32, 38)).toEqual([-8, -1, 1, 7, 7, 0]);
    expect(values.slice(0, 5)).toEqual([-8, 1, 2, 7, 7]);
    expect(values.slice(32, 37)).toEqual([16, 2, -2, -14, -14]);
  });

  test.each([[[1, 32]], [[3, 64]], [[7, 96]], [[40, 256]]])("is what it is defined as, %j", async (shape) => {
    const value = randomTensor("f32", shape);
    const expected = naive(value);
    const { codes, scales, values } = await quantized(memoryWeight(value));
    expect({ codes, scales }).toEqual({ codes: expected.codes, scales: expected.scales });
    expect(values.map((each) => each + 0)).toEqual(expected.values.map((each) => each + 0));
  });

  test("a group of zeros has scale 1 and codes 0; numbers too small for a scale are zeros", async () => {
    const smallest = 2 ** -149;
    const ref = inlineWeight(
      groups([
        [0, -0],
        [smallest, -smallest],
        [-8 * smallest, 3 * smallest],
      ]),
    );
    const { codes, scales } = await quantized(ref);
    expect(scales).toEqual([1, 1, smallest]);
    expect(codes.filter((code) => code !== 0)).toEqual([-8, 3]);
    expect(codes.slice(64, 66)).toEqual([-8, 3]);
  });

  test("an error is at most half a scale, but for what is nearly as far out on the other side", async () => {
    const value = randomTensor("f32", [20, 320]);
    const { values, scales } = await quantized(memoryWeight(value));
    value.data.forEach((weight: number, i: number) => {
      const step = scales[Math.floor(i / q4Group)]!;
      const isBeyond = weight / step > 7.5;
      expect(Math.abs(values[i]! - weight)).toBeLessThanOrEqual(
        Math.abs(isBeyond ? step : step / 2) * (1 + 1e-5),
      );
    });
  });

  test("once is enough: what it makes of its own numbers is the same", async () => {
    const once = await quantized(memoryWeight(randomTensor("f32", [6, 64])));
    const again = await quantized(memoryWeight(tensor("f32", [6, 64], once.values)));
    expect(again.codes).toEqual(once.codes);
    expect(again.scales).toEqual(once.scales);
  });

  test("any rows of its parts are those of the whole, and no more of the matrix than these is read", async () => {
    const value = randomTensor("f32", [50, 96]);
    const whole = naive(value);
    const asked: [number, number][] = [];
    const ref: WeightRef = {
      id: "w",
      dtype: "f32",
      shape: [50, 96],
      rows: async (from, to) => {
        asked.push([from, to]);
        return tensor("f32", [to - from, 96], Array.from(value.data.subarray(from * 96, to * 96)));
      },
    };
    const weight = q4Weight(ref);
    const { codes, scales } = q4Parts(weight)!;
    expect(asked).toEqual([]);
    expect([...(await codes.rows(3, 5)).data]).toEqual(whole.codes.slice(3 * 96, 5 * 96));
    expect([...(await scales.rows(49, 50)).data]).toEqual(whole.scales.slice(49 * 3));
    expect([...(await weight.rows(10, 11)).data].map((each) => each + 0)).toEqual(
      whole.values.slice(10 * 96, 11 * 96).map((each) => each + 0),
    );
    expect(asked).toEqual([
      [3, 5],
      [49, 50],
      [10, 11],
    ]);
  });

  test("is read by rows: no more of a large matrix than a chunk at a time, for the scales too", async () => {
    const [rows, columns] = [1 << 12, 1 << 11];
    let largest = 0;
    const ref: WeightRef = {
      id: "w",
      dtype: "f32",
      shape: [rows, columns],
      rows: async (from, to) => {
        largest = Math.max(largest, to - from);
        const data = new Float32Array((to - from) * columns);
        for (let row = from; row < to; row++) data[(row - from) * columns] = -8 * (row + 1);
        return { dtype: "f32", shape: [to - from, columns], data };
      },
    };
    const { codes, scales } = q4Parts(q4Weight(ref))!;
    for (const part of [codes, scales]) {
      let row = 0;
      for await (const { shape, data } of streamRows(part)) {
        const width = shape[1]!;
        for (let i = 0; i < shape[0]!; i++)
          expect([data[i * width], data[i * width + 1]]).toEqual(part === codes ? [-8, 0] : [++row, 1]);
      }
    }
    expect(largest).toBeLessThan(rows);
  });

  test("goes with what else is done to a weight, and ids say so", async () => {
    const value = randomTensor("bf16", [64, 30]);
    const ref = castWeight(transposeWeight(memoryWeight(value)), "f32");
    const weight = q4Weight(ref);
    const { codes, scales } = q4Parts(weight)!;
    expect((await quantized(ref)).codes).toEqual(naive(await readWeight(ref)).codes);
    expect(new Set([ref, weight, codes, scales].map(({ id }) => id)).size).toBe(4);
    expect(q4Parts(ref)).toBeUndefined();
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuses %d", async (wrong) => {
    const weight = q4Weight(inlineWeight(groups([[1, 2]], [[3, wrong]])));
    const { codes, scales } = q4Parts(weight)!;
    for (const part of [weight, codes, scales]) {
      const failure = await readWeight(part).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(BitnetcError);
      expect((failure as BitnetcError).code).toBe("weight-not-finite");
    }
  });
});
