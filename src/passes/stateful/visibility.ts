import type { Tensor } from "../../tensor/tensor.ts";

/** A mask's opinion on one query and one key: 1 seen, 0 not seen, NaN for a score that is shifted. */
export function visibility(
  { dtype, data, shape }: Tensor,
  plane: number,
  query: number,
  key: number,
): number {
  const [rows, columns] = [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
  const row = plane * rows + (rows === 1 ? 0 : query);
  const value = data[row * columns + (columns === 1 ? 0 : key)]!;
  if (dtype === "bool") return value;
  return value === 0 ? 1 : value <= -1e4 ? 0 : Number.NaN;
}

/** Masks for single heads or batches that a tensor holds. */
export const planesOf = ({ shape }: Tensor): number => shape.slice(0, -2).reduce((n, size) => n * size, 1);
