import { type DType, isFloat } from "../../../../tensor/dtype.ts";
import { scalarTensor, type Tensor, tensor } from "../../../../tensor/tensor.ts";

/** @throws RangeError when tensors have different element types */
export function requireSameType(...tensors: readonly Tensor[]): void {
  const types = new Set(tensors.map(({ dtype }) => dtype));
  if (types.size > 1) throw new RangeError(`Its arguments are ${[...types].join(" and ")}.`);
}

/** @throws RangeError for a tensor of integers */
export function requireFloat({ dtype }: Tensor): void {
  if (!isFloat(dtype)) throw new RangeError(`It takes floats, not ${dtype}.`);
}

/** @throws RangeError for another rank */
export function requireRank({ shape }: Tensor, rank: number): void {
  if (shape.length !== rank)
    throw new RangeError(`It takes tensors of rank ${rank}, not [${shape.join(", ")}].`);
}

/** @throws RangeError for what is no index */
export function requireIndices({ dtype }: Tensor): void {
  if (dtype !== "i64" && dtype !== "i32") throw new RangeError(`Its indices are ${dtype}.`);
}

/** An axis counted from the start. @throws RangeError for one that the rank has not */
export function axisOf(axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!(at >= 0 && at < Math.max(rank, 1))) throw new RangeError(`It has no axis ${axis}.`);
  return at;
}

/** A number as a tensor of the type of another. @throws RangeError for a fraction among integers */
export function scalarLike({ dtype }: { readonly dtype: DType }, value: number): Tensor {
  if (!isFloat(dtype) && !Number.isInteger(value)) throw new RangeError(`${value} is no ${dtype}.`);
  return scalarTensor(dtype, value);
}

/** A tensor whose elements are all that of another. */
export function filled(dtype: DType, shape: readonly number[], { data: [value] }: Tensor): Tensor {
  const made = tensor(dtype, shape);
  made.data.fill(value!);
  return made;
}
