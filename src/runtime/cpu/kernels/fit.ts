import { type DType, integerRange } from "../../../tensor/dtype.ts";
import { roundToDType, type Tensor, type TensorData, tensor, toInteger } from "../../../tensor/tensor.ts";

/**
 * Brings computed numbers to what their dtype holds, in place: 16-bit floats are rounded, and integers whose
 * storage is wider than they are (i64 and u64 in f64, 2 and 4 bits in a byte) are wrapped.
 */
function fitToDType(dtype: DType, data: TensorData): TensorData {
  if (dtype === "f16" || dtype === "bf16") roundToDType(dtype, data);
  else if (isHeldWider(dtype)) {
    const [low, high] = integerRange(dtype)!;
    for (let i = 0; i < data.length; i++) {
      const value = data[i]!;
      // adding 0 turns -0, which is no integer, into 0
      data[i] =
        (Number.isInteger(value) && value >= low && value <= high ? value : toInteger(dtype, value)) + 0;
    }
  }
  return data;
}

/** A tensor of computed numbers, which are brought to what their dtype holds in place. */
export const fitted = (dtype: DType, shape: readonly number[], data: TensorData): Tensor =>
  tensor(dtype, shape, fitToDType(dtype, data));

const isHeldWider = (dtype: DType): boolean => /^[iu](64|4|2)$/.test(dtype);
