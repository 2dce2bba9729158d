import type { Node } from "../../../ir/graph.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import { type Decomposition, one } from "../decomposition.ts";

type Reduction = "aten::amax.out" | "aten::amin.out" | "aten::mean.out" | "aten::sum.IntList_out";

/** Kernels take no axes for all of them, and the graph for none. */
const reduction = (op: Reduction): Decomposition =>
  one((e, node) => {
    const x = e.tensor(node.arg("x"));
    const dim = node.attrs.axes as readonly number[];
    if (dim.length === 0) return x;
    const args = { self: x, dim, keepdim: node.attrs.keepdims === true, dtype: undefined };
    return e.op(op, args, node.results[0]!.type);
  }, refuseIntegers);

const refuseIntegers = (node: Node): string | undefined => {
  const { dtype } = node.arg("x").type;
  return isFloat(dtype) ? undefined : `it must be of floats, and is of ${dtype}`;
};

export const reductions = {
  reduce_max: reduction("aten::amax.out"),
  reduce_mean: reduction("aten::mean.out"),
  reduce_min: reduction("aten::amin.out"),
  reduce_sum: reduction("aten::sum.IntList_out"),
} satisfies Record<string, Decomposition>;
