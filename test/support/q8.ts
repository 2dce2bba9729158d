import { type Tensor, tensor } from "../../src/tensor/tensor.ts";

/** Rounds half to even, without the arithmetic trick that the code under test uses. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** q8 by its definition: the codes and the scales of a float matrix [N, K]. */
export function naiveQ8({ shape, data }: Tensor): { codes: Tensor; scale: Tensor } {
  const [rows, columns] = shape as [number, number];
  const codes: number[] = [];
  const scales: number[] = [];
  for (let n = 0; n < rows; n++) {
    const row = Array.from(data.subarray(n * columns, (n + 1) * columns));
    const scale = Math.fround(Math.max(0, ...row.map(Math.abs)) / 127) || 1;
    scales.push(scale);
    for (const w of row) codes.push(Math.max(-127, Math.min(127, roundHalfEven(Math.fround(w / scale)))) + 0);
  }
  return { codes: tensor("i8", shape, codes), scale: tensor("f32", [rows], scales) };
}

/** What a float matrix [N, K] is once it has been through q8. */
export function throughQ8(matrix: Tensor): Tensor {
  const { codes, scale } = naiveQ8(matrix);
  const columns = matrix.shape[1]!;
  return tensor(
    "f32",
    matrix.shape,
    Array.from(codes.data, (q, i) => q * scale.data[Math.floor(i / columns)]!),
  );
}
