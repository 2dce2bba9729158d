import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { q8Codes, q8Scales } from "../../src/ir/q8.ts";
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
import { naiveQ8 } from "../support/q8.ts";

const matrix = (...rows: readonly (readonly number[])[]): Tensor =>
  tensor("f32", [rows.length, rows[0]!.length], rows.flat());

async function quantized(ref: WeightRef): Promise<{ codes: number[]; scale: number[] }> {
  const [codes, scale] = [await readWeight(q8Codes(ref)), await readWeight(q8Scales(ref))];
  expect(codes).toMatchObject({ dtype: "i8", shape: ref.shape });
  expect(scale).toMatchObject({ dtype: "f32", shape: [ref.shape[0]] });
  return { codes: Array.from(codes.data), scale: Array.from(scale.data) };
}

describe("q8", () => {
  test("the largest magnitude of a row is 127, and halves go to the even code", async () => {
    const ref = inlineWeight(matrix([127, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5], [-254, 1, 3, 5, -1, -3, 253]));
    const row = [0, 2, 2, 0, -2, 126];
    expect(await quantized(ref)).toEqual({
      codes: [127, ...row, -127, ...row].map((code) => code + 0),
      scale: [1, 2],
    });
  });

  test.each([[[1, 1]], [[3, 5]], [[7, 259]], [[50, 64]]])("is what it is defined as, %j", async (shape) => {
    const value = randomTensor("f32", shape);
    const { codes, scale } = naiveQ8(value);
    expect(await quantized(memoryWeight(value))).toEqual({
      codes: Array.from(codes.data),
      scale: Array.from(scale.data),
    });
  });

  test("a row of zeros has scale 1; numbers too small for a scale are zeros; few digits are clamped", async () => {
    const smallest = 2 ** -149;
    const value = matrix([0, -0, 0], [smallest, -smallest, 0], [100 * smallest, 5 * smallest, 0]);
    expect(await quantized(inlineWeight(value))).toEqual({
      codes: [0, 0, 0, 0, 0, 0, 100, 5, 0],
      scale: [1, 1, smallest],
    });
    const clamped = matrix([180 * smallest, -180 * smallest, smallest]);
    expect(await quantized(inlineWeight(clamped))).toEqual({ codes: [127, -127, 1], scale: [smallest] });
  });

  test("an error is at most half a scale", async () => {
    const value = randomTensor("f32", [20, 300]);
    const { codes, scale } = await quantized(memoryWeight(value));
    value.data.forEach((w: number, i: number) => {
      const step = scale[Math.floor(i / 300)]!;
      expect(Math.abs(codes[i]! * step - w)).toBeLessThanOrEqual((step / 2) * (1 + 1e-5));
    });
  });

  test("is read by rows: no more of the matrix than a chunk at a time, for the scales too", async () => {
    const [rows, columns] = [1 << 12, 1 << 11];
    let largest = 0;
    const ref: WeightRef = {
      id: "w",
      dtype: "f32",
      shape: [rows, columns],
      rows: async (from, to) => {
        largest = Math.max(largest, to - from);
        const data = new Float32Array((to - from) * columns);
        for (let row = from; row < to; row++)
          data[(row - from) * columns + (row % columns)] = 127 * (row + 1);
        return { dtype: "f32", shape: [to - from, columns], data };
      },
    };
    let row = 0;
    for await (const { data } of streamRows(q8Scales(ref)))
      for (const scale of data) expect(scale).toBe(++row);
    expect(row).toBe(rows);
    const codes = await q8Codes(ref).rows(3, 5);
    expect(codes.shape).toEqual([2, columns]);
    expect([...codes.data.subarray(0, 5), codes.data[columns + 4]]).toEqual([0, 0, 0, 127, 0, 127]);
    expect(largest).toBeLessThan(rows);
  });

  test("goes with what else is done to a weight, and its id says so", async () => {
    const value = randomTensor("bf16", [40, 30]);
    const ref = castWeight(transposeWeight(memoryWeight(value)), "f32");
    const { codes } = naiveQ8(await readWeight(ref));
    expect((await quantized(ref)).codes).toEqual(Array.from(codes.data));
    expect(new Set([ref.id, q8Codes(ref).id, q8Scales(ref).id]).size).toBe(3);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuses %d", async (wrong) => {
    const ref = inlineWeight(matrix([1, 2], [wrong, 1]));
    for (const part of [q8Codes(ref), q8Scales(ref)]) {
      const failure = await readWeight(part).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(BitnetcError);
      expect((failure as BitnetcError).code).toBe("weight-not-finite");
    }
  });
});
