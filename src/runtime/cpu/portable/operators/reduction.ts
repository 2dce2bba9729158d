import type { ReduceOp } from "../../../../ir/ops/signatures.ts";
import { isFloat } from "../../../../tensor/dtype.ts";
import { scalarTensor, type Tensor, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { elementwiseKernels } from "../../kernels/elementwise.ts";
import { neuralKernels } from "../../kernels/neural.ts";
import { reductionKernels } from "../../kernels/reduction.ts";
import { type Operators, out, outs } from "../operator.ts";
import { bool, int, ints, no, optional, tensor } from "../values.ts";
import { axisOf, requireFloat } from "./checks.ts";

/** No axes are all of them. */
function reduced(op: ReduceOp, x: Tensor, axes: readonly number[], keepdims: boolean): Tensor {
  const all = x.shape.map((_, axis) => axis);
  const given = axes.length === 0 ? all : axes.map((axis) => axisOf(axis, x.shape.length));
  if (new Set(given).size < given.length) throw new RangeError(`It has the axes ${axes.join(", ")}.`);
  return reductionKernels[op]({ x }, { axes: given, keepdims })[0]!;
}

const extreme = (op: "reduce_max" | "reduce_min") =>
  out([tensor, ints, bool], (x, axes, keepdims) => {
    if (x.data.length === 0) throw new RangeError("Of no elements none is the best.");
    return reduced(op, x, axes, keepdims);
  });

/** In the type of the result, which an argument may name too. */
const total = (op: "reduce_sum" | "reduce_mean") =>
  out([tensor, optional(ints), bool, optional(int)], (x, axes, keepdims, _type, { dtype }) => {
    if (op === "reduce_mean" && !isFloat(dtype)) throw new RangeError(`A mean is not ${dtype}.`);
    if (op === "reduce_sum" && isFloat(x.dtype) && !isFloat(dtype))
      throw new RangeError(`${dtype} holds no such sum.`);
    return reduced(op, elementwiseKernels.cast({ x }, { to: dtype })[0]!, axes ?? [], keepdims);
  });

function softmax(x: Tensor, axis: number): Tensor {
  requireFloat(x);
  return neuralKernels.softmax({ x }, { axis: axisOf(axis, x.shape.length) })[0]!;
}

/** Without an axis, of all elements in order. */
function bestIndex(op: "argmax" | "argmin", x: Tensor, axis: number | null, keepdims: boolean): Tensor {
  const flat = tensorOf(x.dtype, [x.data.length], x.data);
  const [given, at] = axis === null ? [flat, 0] : [x, axisOf(axis, x.shape.length)];
  const [indices] = reductionKernels[op]({ x: given }, { axis: at, keepdims, last: false });
  return axis === null ? tensorOf("i64", keepdims ? x.shape.map(() => 1) : [], indices!.data) : indices!;
}

export const reductionOperators: Operators = {
  "aten::amax.out": extreme("reduce_max"),
  "aten::amin.out": extreme("reduce_min"),
  "aten::mean.out": total("reduce_mean"),
  "aten::sum.IntList_out": total("reduce_sum"),
  "aten::prod.int_out": out([tensor, int, bool, optional(int)], (x, axis, keepdims, _type, { dtype }) =>
    reduced("reduce_prod", elementwiseKernels.cast({ x }, { to: dtype })[0]!, [axis], keepdims),
  ),
  "aten::argmax.out": out([tensor, optional(int), bool], (x, axis, keepdims) =>
    bestIndex("argmax", x, axis, keepdims),
  ),
  "aten::argmin.out": out([tensor, optional(int), bool], (x, axis, keepdims) =>
    bestIndex("argmin", x, axis, keepdims),
  ),
  "aten::topk.values": outs([tensor, int, int, bool, bool], 2, (x, count, axis, largest) => {
    const at = axisOf(axis, x.shape.length);
    return reductionKernels.topk({ x, k: scalarTensor("i64", count) }, { axis: at, largest });
  }),
  "aten::cumsum.out": out([tensor, int, optional(int)], (x, axis, _type, { dtype }) => {
    const cast = elementwiseKernels.cast({ x }, { to: dtype })[0]!;
    const attrs = { axis: axisOf(axis, x.shape.length), exclusive: false, reverse: false };
    return reductionKernels.cumsum({ x: cast }, attrs)[0]!;
  }),
  "aten::_softmax.out": out([tensor, int, no], softmax),
};
