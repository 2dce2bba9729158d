import type { Node } from "../../../ir/graph.ts";
import { type Dim, maxOf, productOf, sameDim } from "../../../tensor/dim.ts";
import { elementCount } from "../../../tensor/tensor.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { Int, PortableTensor } from "../value.ts";

/** Numbers so large mean "as far as it goes"; integers of programs are exact up to here. */
const farAway = Number.MAX_SAFE_INTEGER;
const bound = (e: Emitter, dim: Dim): Int =>
  typeof dim === "number" ? Math.max(-farAway, Math.min(farAway, dim)) : e.size(dim);

function slice(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const { shape } = node.results[0]!.type;
  const [starts, ends] = [node.arg("starts").contents!, node.arg("ends").contents!];
  const steps = node.attrs.steps as readonly number[];
  return (node.attrs.axes as readonly number[]).reduce((part, axis, i) => {
    const at = (axis + shape.length) % shape.length;
    return e.slice(part, at, bound(e, starts[i]!), bound(e, ends[i]!), shape[at]!, steps[i]);
  }, x);
}

const refuseSlice = (node: Node): string | undefined => {
  if ((node.attrs.steps as readonly number[]).some((step) => step < 1)) return "it cannot go backwards";
  const bounds = [node.arg("starts"), node.arg("ends")];
  return bounds.some(({ contents }) => contents === undefined)
    ? "its bounds must be known as sizes"
    : undefined;
};

function expand(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const { shape } = node.results[0]!.type;
  if (
    shape.length === x.shape.length &&
    shape.every((size, i) => sameDim(size, node.arg("x").type.shape[i]!))
  )
    return x;
  const size = shape.map((dim) => e.size(dim));
  return e.op("aten::expand_copy.out", { self: x, size, implicit: false }, { dtype: x.dtype, shape });
}

function gather(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const indices = e.tensor(node.arg("indices"));
  const axis = ((node.attrs.axis as number) + x.shape.length) % x.shape.length;
  const count = productOf(indices.shape);
  const rows = e.op(
    "aten::index_select.out",
    { self: x, dim: axis, index: e.view(indices, [count]) },
    { dtype: x.dtype, shape: x.shape.with(axis, count) },
  );
  return e.view(rows, node.results[0]!.type.shape);
}

/** Kernels do not count indices from the end. */
const refuseIndices = (node: Node): string | undefined =>
  node.arg("indices").contents?.some((index) => typeof index === "number" && index < 0)
    ? "indices must not be negative"
    : undefined;

const range = (e: Emitter, node: Node): PortableTensor => {
  const [start, end, step] = (["start", "limit", "delta"] as const).map((name) =>
    e.size(node.arg(name).contents![0]!),
  );
  const args = { start: start!, end: end!, step: step! };
  return e.op("aten::arange.start_out", args, node.results[0]!.type);
};

const refuseRange = (node: Node): string | undefined =>
  node.operands.some(({ contents, type }) => contents === undefined || type.dtype !== "i64")
    ? "its bounds must be i64 and known as sizes"
    : undefined;

/** A view of a cache is its memory, which ends with it. */
function refuseOverrun(node: Node): string | undefined {
  const x = node.arg("x");
  const most = (shape: readonly Dim[]) => elementCount(shape.map(maxOf));
  return x.node?.def.mutates !== undefined && most(node.results[0]!.type.shape) > most(x.type.shape)
    ? "it may have more elements than the cache that it shows"
    : undefined;
}

export const movement = {
  reshape: one((e, node) => e.view(e.tensor(node.arg("x")), node.results[0]!.type.shape), refuseOverrun),
  expand: one(expand),
  transpose: one((e, node) => e.permute(e.tensor(node.arg("x")), node.attrs.perm as readonly number[])),
  concat: one((e, node) => {
    const tensors = node.list("inputs").map((input) => e.tensor(input));
    return e.op("aten::cat.out", { tensors, dim: node.attrs.axis as number }, node.results[0]!.type);
  }),
  slice: one(slice, refuseSlice),
  gather: one(gather, refuseIndices),
  range: one(range, refuseRange),
} satisfies Record<string, Decomposition>;
