import { type Dim, sameDim, subtractDims } from "../../../tensor/dim.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import type { Decomposition } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";

const i64 = (shape: readonly Dim[]) => ({ dtype: "i64", shape }) as const;

/**
 * The kernel leaves equal elements in any order, and which of them are among the k best. So all are sorted and equal
 * ones numbered alike; (that number) · size + (the index) are keys of which no two are equal.
 */
export const topk: Decomposition = {
  emit(e, node) {
    const x = e.tensor(node.arg("x"));
    const rank = x.shape.length;
    const axis = ((node.attrs.axis as number) + rank) % rank;
    const largest = node.attrs.largest === true;
    const size = x.shape[axis]!;
    const count = node.arg("k").contents![0]!;
    const shape = x.shape.with(axis, count);
    const [values, order] = e.many(
      "aten::topk.values",
      { self: x, k: e.size(size), dim: axis, largest, sorted: true },
      [x, i64(x.shape)],
    ) as [PortableTensor, PortableTensor];
    if (size === 1 && count === 1) return [values, order];
    const groups = groupsOf(e, values, axis, largest);
    const first = e.op("aten::mul.Scalar_out", { self: groups, other: e.size(size) }, groups);
    const keys = e.op("aten::add.out", { self: first, other: order, alpha: 1 }, groups);
    const [best] = e.many(
      "aten::topk.values",
      { self: keys, k: e.size(count), dim: axis, largest: false, sorted: true },
      [i64(shape), i64(shape)],
    );
    return [
      sameDim(count, size) ? values : e.slice(values, axis, 0, e.size(count), count),
      e.op("aten::remainder.Scalar_out", { self: best!, other: e.size(size) }, i64(shape)),
    ];
  },
};

/** Of sorted elements, how many different ones come before each. NaN is the largest and equal to itself. */
function groupsOf(e: Emitter, sorted: PortableTensor, axis: number, descending: boolean): PortableTensor {
  const { shape } = sorted;
  const before = subtractDims(shape[axis]!, 1);
  const previous = e.op(
    "aten::cat.out",
    {
      tensors: [e.slice(sorted, axis, 0, 1, 1), e.slice(sorted, axis, 0, e.size(before), before)],
      dim: axis,
    },
    sorted,
  );
  const bool = { dtype: "bool", shape } as const;
  const differs = e.op("aten::ne.Tensor_out", { self: sorted, other: previous }, bool);
  // Where this one is NaN the other is, too: NaN comes first of falling elements and last of rising ones.
  const lesser = descending ? sorted : previous;
  const starts = isFloat(sorted.dtype)
    ? e.op(
        "aten::logical_and.out",
        { self: differs, other: e.op("aten::eq.Tensor_out", { self: lesser, other: lesser }, bool) },
        bool,
      )
    : differs;
  return e.op("aten::cumsum.out", { self: starts, dim: axis, dtype: undefined }, i64(shape));
}
