import { mapRows, type WeightRef } from "../../ir/weights.ts";
import { tensor } from "../../tensor/tensor.ts";

/**
 * Codes -8 to 7 as `et_vk.linear_q4gsw` takes them: byte j of a row holds code 2j in its low and code 2j + 1 in its high
 * half, each plus 8.
 * @param codes i8 [N, K], K even
 * @returns u8 [N, K / 2]
 */
export const packNibbles = (codes: WeightRef): WeightRef =>
  mapRows(
    codes,
    "nibbles",
    { dtype: "u8", shape: [codes.shape[0]!, codes.shape[1]! / 2] },
    ({ shape, data }) => {
      const packed = new Uint8Array(data.length / 2);
      for (let i = 0; i < packed.length; i++) packed[i] = (data[2 * i]! + 8) | ((data[2 * i + 1]! + 8) << 4);
      return { dtype: "u8", shape: [shape[0]!, shape[1]! / 2], data: packed };
    },
  );

/** A table [T, R/2] of angles' cosines or sines as [T, R]: once for each half of what is rotated. */
export const repeatHalves = (table: WeightRef): WeightRef => {
  const [rows, half] = table.shape as readonly [number, number];
  return mapRows(table, "twice", { dtype: "f32", shape: [rows, 2 * half] }, ({ shape, data }) => {
    const wide = new Float32Array(2 * data.length);
    for (let row = 0; row < shape[0]!; row++) {
      const values = data.subarray(row * half, (row + 1) * half);
      wide.set(values, 2 * row * half);
      wide.set(values, (2 * row + 1) * half);
    }
    return { dtype: "f32", shape: [shape[0]!, 2 * half], data: wide };
  });
};

/** f32 of one value throughout. */
export function filledWeight(shape: readonly number[], value: number): WeightRef {
  const id = `f32${JSON.stringify(shape)} of ${value}`;
  const rows = async (from: number, to: number) => {
    const part = tensor("f32", [to - from, ...shape.slice(1)]);
    part.data.fill(value as never);
    return part;
  };
  return { id, dtype: "f32", shape, rows };
}
