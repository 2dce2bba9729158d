import { mutating, type Operator, type Operators, valued } from "../operator.ts";
import { cell, int, ints, type Kind, scalar, tensor } from "../values.ts";
import { axisOf } from "./checks.ts";

const arithmetic = (compute: (a: number, b: number) => number): Operator => valued([int, int], int, compute);

/** The item as a number. */
const numberKind: Kind<number | boolean> = {
  ...scalar,
  name: "a number or bool",
  accepts: ({ type }) => type === "Int" || type === "Double" || type === "Bool",
};

const divide = (a: number, b: number): number => {
  if (b === 0) throw new RangeError("It divides by 0.");
  return Math.floor(a / b);
};

/** Results that are no tensors, and views, which move no data. */
export const scalarOperators: Operators = {
  "aten::sym_size.int": valued([tensor, int], int, ({ shape }, axis) => shape[axisOf(axis, shape.length)]!),
  "aten::_local_scalar_dense": valued([tensor], numberKind, ({ dtype, data }) => {
    if (data.length !== 1) throw new RangeError(`It takes one element, not ${data.length}.`);
    return dtype === "bool" ? data[0] !== 0 : data[0]!;
  }),
  "executorch_prim::add.Scalar": arithmetic((a, b) => a + b),
  "executorch_prim::sub.Scalar": arithmetic((a, b) => a - b),
  "executorch_prim::mul.Scalar": arithmetic((a, b) => a * b),
  "executorch_prim::floordiv.Scalar": arithmetic(divide),
  "executorch_prim::sym_max.Scalar": arithmetic(Math.max),
  "executorch_prim::sym_min.Scalar": arithmetic(Math.min),
  "executorch_prim::et_view.default": {
    ...mutating(
      [cell, ints, cell],
      [2],
      (base, sizes, view) => {
        const count = base.tensor.data.length;
        const known = sizes.reduce((product, size) => (size === -1 ? product : product * size), 1);
        const shape = sizes.map((size) => (size === -1 ? count / known : size));
        if (shape.reduce((a, b) => a * b, 1) !== count)
          throw new RangeError(`[${base.shape.join(", ")}] is not to be seen as [${sizes.join(", ")}].`);
        view.alias(base, shape);
      },
      [],
    ),
    repeatsResult: false,
  },
};
