import { type Tensor, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { movementKernels } from "../../kernels/movement.ts";
import { type Operators, out } from "../operator.ts";
import { int, ints, scalar, tensor } from "../values.ts";
import { axisOf, scalarLike } from "./checks.ts";

const numbers = (list: readonly number[]): Tensor => tensorOf("i64", [list.length], list);

/** Pads come in pairs, that of the last axis first; axes without one stay as they are. */
function pad(x: Tensor, pads: readonly number[], value: number): Tensor {
  if (pads.length % 2 !== 0 || pads.length > 2 * x.shape.length || pads.some((amount) => amount < 0))
    throw new RangeError(`It pads [${x.shape.join(", ")}] by [${pads.join(", ")}].`);
  const last = x.shape.length - 1;
  const ends = [0, 1].flatMap((end) => x.shape.map((_, axis) => pads[2 * (last - axis) + end] ?? 0));
  return movementKernels.pad(
    { x, pads: numbers(ends), value: scalarLike(x, value) },
    { mode: "constant" },
  )[0]!;
}

function flip(x: Tensor, axes: readonly number[]): Tensor {
  const given = axes.map((axis) => axisOf(axis, x.shape.length));
  if (new Set(given).size < given.length) throw new RangeError(`It has the axes ${axes.join(", ")}.`);
  const bounds = (bound: number) => numbers(given.map(() => bound));
  return movementKernels.slice(
    { x, starts: bounds(-1), ends: bounds(-Number.MAX_SAFE_INTEGER) },
    { axes: given, steps: given.map(() => -1) },
  )[0]!;
}

/** Those that leave elements out, add some, or turn their order round. */
export const arrangementOperators: Operators = {
  "aten::constant_pad_nd.out": out([tensor, ints, scalar], pad),
  "aten::flip.out": out([tensor, ints], flip),
  "aten::tril.out": out([tensor, int], (x, diagonal) => {
    if (x.shape.length < 2) throw new RangeError(`It takes matrices, not [${x.shape.join(", ")}].`);
    return movementKernels.triangle({ x, k: numbers([diagonal]) }, { upper: false })[0]!;
  }),
};
