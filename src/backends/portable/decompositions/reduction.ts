import type { Node } from "../../../ir/graph.ts";
import { type Dim, maxOf, productOf, subtractDims } from "../../../tensor/dim.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";
import { cumsum } from "./cumulative-sum.ts";
import { topk } from "./topk.ts";
import { rounded, widened } from "./widening.ts";

const isEmpty = (shape: readonly Dim[]): boolean => shape.some((size) => maxOf(size) === 0);

/** Kernels take no axes for all of them, and the graph for none. */
const reduction = (
  emit: (e: Emitter, node: Node, x: PortableTensor, axes: readonly number[]) => PortableTensor,
  refuse?: Decomposition["refuse"],
): Decomposition =>
  rounded((e, node) => {
    const x = e.tensor(node.arg("x"));
    const axes = (node.attrs.axes as readonly number[]).map(
      (axis) => (axis + x.shape.length) % x.shape.length,
    );
    return axes.length === 0 ? x : emit(e, node, x, axes);
  }, refuse);

const keepsAxes = (node: Node): boolean => node.attrs.keepdims === true;

/** Kernels end a program that has no elements for them. */
const extreme = (op: "aten::amax.out" | "aten::amin.out", ofNothing: number): Decomposition =>
  reduction(
    (e, node, self, dim) => {
      const { type } = node.results[0]!;
      if (!isEmpty(self.shape)) return e.op(op, { self, dim, keepdim: keepsAxes(node) }, type);
      const size = type.shape.map((each) => e.size(each));
      return e.op("aten::full.out", { size, fill_value: { double: ofNothing } }, type);
    },
    (node) =>
      isEmpty(node.arg("x").type.shape) && !isFloat(node.arg("x").type.dtype)
        ? "it has no elements, of which none is the best"
        : undefined,
  );

const sum = reduction((e, node, self, dim) => {
  const args = { self, dim, keepdim: keepsAxes(node), dtype: undefined };
  return e.op("aten::sum.IntList_out", args, node.results[0]!.type);
});

const mean = reduction(
  (e, node, self, dim) => {
    const { type } = node.results[0]!;
    const args = { self, dim, keepdim: keepsAxes(node), dtype: undefined };
    if (isFloat(type.dtype)) return e.op("aten::mean.out", args, type);
    const total = e.op("aten::sum.IntList_out", args, { dtype: "i64", shape: type.shape });
    const other = e.size(productOf(dim.map((axis) => self.shape[axis]!)));
    return e.op("aten::div.Scalar_mode_out", { self: total, other, rounding_mode: "trunc" }, type);
  },
  (node) =>
    isEmpty(node.arg("x").type.shape) && !isFloat(node.arg("x").type.dtype)
      ? "it has no elements, and a mean of no integers is none"
      : undefined,
);

/** The kernel takes one axis; from the last on, those before keep their places. */
const product = reduction((e, node, x, axes) => {
  const keepdim = keepsAxes(node);
  const dtype = widened(x.dtype);
  return [...axes]
    .sort((a, b) => b - a)
    .reduce((self, dim) => {
      const shape = keepdim ? self.shape.with(dim, 1) : self.shape.toSpliced(dim, 1);
      return e.op("aten::prod.int_out", { self, dim, keepdim, dtype: undefined }, { dtype, shape });
    }, x);
});

/** The first of equal elements; the last one is the first of them in reverse. */
const bestIndex = (op: "aten::argmax.out" | "aten::argmin.out"): Decomposition =>
  one(
    (e, node) => {
      const x = e.tensor(node.arg("x"));
      const dim = ((node.attrs.axis as number) + x.shape.length) % x.shape.length;
      const last = node.attrs.last === true;
      const self = last ? e.op("aten::flip.out", { self: x, dims: [dim] }, x) : x;
      const index = e.op(op, { self, dim, keepdim: keepsAxes(node) }, node.results[0]!.type);
      if (!last) return index;
      const other = e.size(subtractDims(x.shape[dim]!, 1));
      return e.op("aten::rsub.Scalar_out", { self: index, other, alpha: 1 }, index);
    },
    (node) =>
      maxOf(node.arg("x").type.shape.at(node.attrs.axis as number)!) === 0
        ? "its axis has no elements, of which none is the best"
        : undefined,
  );

export const reductions = {
  reduce_max: extreme("aten::amax.out", Number.NEGATIVE_INFINITY),
  reduce_mean: mean,
  reduce_min: extreme("aten::amin.out", Number.POSITIVE_INFINITY),
  reduce_prod: product,
  reduce_sum: sum,
  argmax: bestIndex("aten::argmax.out"),
  argmin: bestIndex("aten::argmin.out"),
  cumsum,
  topk,
} satisfies Record<string, Decomposition>;
