import { elementwiseKernels } from "../../kernels/elementwise.ts";
import { indexingKernels } from "../../kernels/indexing.ts";
import { embedding } from "../../kernels/linear.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import { bool, constant, int, resident, tensor } from "../kinds.ts";
import { type Operators, op } from "../operator.ts";
import { hasAxis, numeric, ofFixedSize, sameFloats, sameType } from "./checks.ts";

const areIndices = ({ dtype }: GraphTensor): string | false => dtype !== "i32" && `indices of ${dtype}`;

export const indexingOperators: Operators = {
  "aten.embedding.default": op(
    [constant, tensor, int, bool, bool],
    (table, ids) =>
      elementwiseKernels.cast({ x: embedding({ table, ids }, {})[0]! }, { to: table.dtype })[0]!,
    (table, ids, _padding, _scale, _sparse, out) => [
      ...sameFloats(table, out),
      areIndices(ids),
      table.rank !== 2 && `a table of ${table.rank} axes`,
    ],
  ),
  // It is there for textures packed along channels only.
  "aten.index_select.default": op(
    [resident, int, resident],
    (x, axis, indices) =>
      indexingKernels.gather({ x: ofFixedSize(x), indices: ofFixedSize(indices) }, { axis })[0]!,
    (x, axis, indices, out) => [
      ...sameType(numeric, x, out),
      areIndices(indices),
      indices.rank !== 1 && `indices of ${indices.rank} axes`,
      hasAxis(axis, x.rank),
      [x, indices, out].some((each) => each.isBuffer || each.layout !== "TENSOR_CHANNELS_PACKED") &&
        "tensors that are no textures packed along channels",
    ],
  ),
  "aten.gather.default": op(
    [tensor, int, tensor, bool],
    (x, axis, indices) => indexingKernels.gather_elements({ x, indices }, { axis })[0]!,
    (x, axis, indices, _sparse, out) => [
      ...sameType(numeric, x, out),
      areIndices(indices),
      indices.rank !== x.rank && `indices of ${indices.rank} axes`,
      // A negative one is not counted from the end.
      !(axis >= 0 && axis < x.rank) && `axis ${axis} of ${x.rank}`,
    ],
  ),
};
