import { type Dim, evaluateDim } from "../../../tensor/dim.ts";
import { type DType, isFloat } from "../../../tensor/dtype.ts";
import { elementCount, encodeElements, type Tensor, tensor } from "../../../tensor/tensor.ts";
import { randomFloats, randomIntegers } from "../case-data.ts";
import type { Elements } from "../kernel-case.ts";
import type { Operand } from "../operands.ts";
import type { Target } from "../target.ts";

/** For shaders that are the same for every target. */
export const isSoftware = ({ name }: Target): boolean => name === "software";

/** For shaders that do without packed products: the baseline has the same ones as `workgroups`. */
export const isDistinct = ({ name }: Target): boolean => name !== "baseline";

/** The value of S in the cases of generic kernels. */
export const tokens = 5;
export const symbols = { S: tokens } as const;

export const sizesOf = (shape: readonly Dim[]): number[] =>
  shape.map((size) => evaluateDim(size, new Map(Object.entries(symbols))));

export const operand = (dtype: DType, shape: readonly Dim[], constant = false): Operand => ({
  dtype,
  shape,
  constant,
});

/** A random tensor for an operand: floats in (-range, range), integers likewise, or truths. */
export function operandTensor(seed: number, { shape, dtype }: Operand, range = 4): Tensor {
  const sizes = sizesOf(shape);
  const count = elementCount(sizes);
  const values =
    dtype === "bool"
      ? randomIntegers(seed, count, 0, 1)
      : isFloat(dtype)
        ? randomFloats(seed, count, range)
        : randomIntegers(seed, count, dtype.startsWith("u") ? 0 : -range, range);
  return tensor(dtype, sizes, Array.from(values));
}

/** A tensor's elements as values have them on the GPU. */
export function valueElements({ dtype, data }: Tensor): Elements {
  if (isFloat(dtype)) return Float32Array.from(data);
  return dtype === "bool" || dtype.startsWith("u") ? Uint32Array.from(data) : Int32Array.from(data);
}

/** A tensor's elements as the operand lies in GPU memory. */
export function operandElements({ constant }: Operand, values: Tensor): Elements {
  if (!constant || values.dtype === "i64" || values.dtype === "bool") return valueElements(values);
  const bytes = encodeElements(values.dtype, values.data);
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  return words;
}

/** What `out` holds before, and what it must hold afterwards. */
export const untouchedLike = (wanted: Tensor): Elements => valueElements(wanted).fill(77);
