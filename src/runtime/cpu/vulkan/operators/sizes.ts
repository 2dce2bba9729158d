import { contiguousStrides } from "../../kernels/strides.ts";
import { graphInput, int, resident, size } from "../kinds.ts";
import { intOp, type Operators } from "../operator.ts";
import { axisOf, hasAxis } from "./checks.ts";

const divide = (a: number, b: number): number => {
  if (b === 0) throw new RangeError("It divides by 0.");
  return Math.floor(a / b);
};

/** Integers that are computed as the graph runs. */
export const sizeOperators: Operators = {
  "sym_size.int": intOp(
    [resident, int],
    ({ tensor: { shape } }, axis) => shape[axisOf(axis, shape.length)]!,
    (x, axis) => [hasAxis(axis, x.rank)],
  ),
  add: intOp([size, size], (a, b) => a + b),
  sub: intOp([size, size], (a, b) => a - b),
  mul: intOp([size, size], (a, b) => a * b),
  floordiv: intOp([size, size], divide),
  // The element at 0 of every other axis.
  "et_vk.select_as_symint.default": intOp(
    [graphInput, int, int],
    ({ shape, data }, axis, index) => {
      const length = shape[axis]!;
      const at = index < 0 ? index + length : index;
      if (!(at >= 0 && at < length)) throw new RangeError(`It selects ${index} of ${length}.`);
      return data[at * contiguousStrides(shape)[axis]!]!;
    },
    (x, axis) => [
      x.dtype !== "i32" && `a tensor of ${x.dtype}`,
      !(axis >= 0 && axis < x.rank) && `axis ${axis} of ${x.rank}`,
    ],
  ),
};
