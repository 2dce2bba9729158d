import type { Tensor } from "../../../../tensor/tensor.ts";
import { indexingKernels } from "../../kernels/indexing.ts";
import { movementKernels } from "../../kernels/movement.ts";
import { type Operators, out } from "../operator.ts";
import { int, no, tensor } from "../values.ts";
import { axisOf, requireSameType } from "./checks.ts";

/**
 * Checks what the kernels check, and gives the axis counted from the start.
 * @throws RangeError for indices that are not i64, are negative, or are more than x has elements along another axis
 */
function along(x: Tensor, axis: number, indices: Tensor): number {
  const at = axisOf(axis, x.shape.length);
  if (indices.dtype !== "i64") throw new RangeError(`Its indices are ${indices.dtype}.`);
  const { shape } = indices;
  if (shape.length !== x.shape.length || shape.some((size, i) => i !== at && size > x.shape[i]!))
    throw new RangeError(`It has indices [${shape.join(", ")}] for [${x.shape.join(", ")}].`);
  const negative = indices.data.find((index) => index < 0);
  if (negative !== undefined) throw new RangeError(`Index ${negative} is outside an axis.`);
  return at;
}

const scatter = (reduction: "none" | "add") =>
  out([tensor, int, tensor, tensor], (x, axis, indices, updates) => {
    requireSameType(x, updates);
    if (indices.shape.join() !== updates.shape.join())
      throw new RangeError(`It puts [${updates.shape.join(", ")}] at [${indices.shape.join(", ")}].`);
    const attrs = { axis: along(x, axis, indices), reduction };
    return indexingKernels.scatter_elements({ x, indices, updates }, attrs)[0]!;
  });

/** Those that take an index for each element, or find the indices. */
export const scatterOperators: Operators = {
  "aten::gather.out": out([tensor, int, tensor, no], (x, axis, indices) => {
    return indexingKernels.gather_elements({ x, indices }, { axis: along(x, axis, indices) })[0]!;
  }),
  "aten::scatter.src_out": scatter("none"),
  "aten::scatter_add.out": scatter("add"),
  "aten::nonzero.out": out([tensor], (x) => {
    const [axes] = indexingKernels.nonzero({ x }, { size: "" });
    return movementKernels.transpose({ x: axes! }, { perm: [1, 0] })[0]!;
  }),
};
