import type { ReduceOp } from "../../../../ir/ops/signatures.ts";
import { type Tensor, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { neuralKernels } from "../../kernels/neural.ts";
import { reductionKernels } from "../../kernels/reduction.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import { bool, flag, int, none, optional, sizes, tensor } from "../kinds.ts";
import { type Faults, type Operators, op } from "../operator.ts";
import { axisOf, hasAxis, numeric, sameFloats, sameType } from "./checks.ts";

/** Without axes, the only one. */
const reduce = (name: ReduceOp, x: Tensor, axes: readonly number[] | null, keepdims: boolean): Tensor =>
  reductionKernels[name]({ x }, { axes: axes ?? [-1], keepdims })[0]!;

function reductionFaults(
  x: GraphTensor,
  axes: readonly number[] | null,
  keepdims: boolean,
  out: GraphTensor,
): Faults {
  const given = (axes ?? [-1]).map((axis) => axisOf(axis, x.rank));
  return [
    ...sameType(numeric, x, out),
    axes === null && x.rank !== 1 && `no axes and a tensor of ${x.rank}`,
    given.length !== 1 && given.length !== 2 && `${given.length} axes`,
    (given.some(Number.isNaN) || new Set(given).size < given.length) && `the axes ${axes!.join(", ")}`,
    x.isBuffer &&
      (given.length !== 1 || given[0] !== x.rank - 1) &&
      "an axis of a buffer that is not the last",
    !x.isBuffer && !keepdims && "an axis of a texture that is dropped",
  ];
}

const extreme = (name: ReduceOp) =>
  op(
    [tensor, optional(sizes), flag],
    (x, axes, keepdims) => reduce(name, x, axes, keepdims),
    reductionFaults,
  );
const total = (name: ReduceOp) =>
  op(
    [tensor, optional(sizes), flag, none],
    (x, axes, keepdims) => reduce(name, x, axes, keepdims),
    (x, axes, keepdims, _type, out) => reductionFaults(x, axes, keepdims, out),
  );

export const reductionOperators: Operators = {
  "aten.amax.default": extreme("reduce_max"),
  "aten.amin.default": extreme("reduce_min"),
  "aten.mean.dim": total("reduce_mean"),
  "aten.sum.dim_IntList": total("reduce_sum"),
  "aten._softmax.default": op(
    [tensor, int, bool],
    (x, axis) => neuralKernels.softmax({ x }, { axis })[0]!,
    (x, axis, _halfToFloat, out) => [...sameFloats(x, out), hasAxis(axis, x.rank)],
  ),
  "aten.argmax.default": op(
    [tensor, optional(int), flag],
    (x, axis, keepdims) => {
      const [indices] = reductionKernels.argmax({ x }, { axis: axis ?? 0, keepdims, last: false });
      return tensorOf("i32", indices!.shape, Int32Array.from(indices!.data));
    },
    (x, axis, _keepdims, out) => [
      ...sameType(numeric, x),
      out.dtype !== "i32" && `a result of ${out.dtype} in place of i32`,
      !x.isBuffer && "a texture",
      axisOf(axis ?? 0, x.rank) !== x.rank - 1 && "an axis that is not the last",
    ],
  ),
};
