import type { Node } from "../../../ir/graph.ts";
import { addDims, type Dim, maxOf, multiplyDims, sameDim } from "../../../tensor/dim.ts";
import { elementCount } from "../../../tensor/tensor.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { Int, PortableTensor } from "../value.ts";
import { bound } from "./slicing.ts";

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

/** Its end follows from its length: the kernel refuses one that lies behind the start. */
const range = (e: Emitter, node: Node): PortableTensor => {
  const { dtype, shape } = node.results[0]!.type;
  const [start, step] = (["start", "delta"] as const).map((name) => node.arg(name).contents![0]!);
  const end = e.size(addDims(start!, multiplyDims(shape[0]!, step!)));
  const args = { start: e.size(start!), end, step: e.size(step!) };
  return e.op("aten::arange.start_out", args, { dtype, shape });
};

const refuseRange = (node: Node): string | undefined =>
  node.operands.some(({ contents }) => contents === undefined)
    ? "its bounds must be known as sizes"
    : undefined;

function tile(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const repeats = node.arg("repeats").contents!.map((count) => e.size(count));
  return e.op("aten::repeat.out", { self: x, repeats }, node.results[0]!.type);
}

/** There is a kernel for what is below a diagonal only; the rest is above. */
function triangle(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  if (node.attrs.upper !== true)
    return e.op("aten::tril.out", { self: x, diagonal: diagonal(e, node, 0) }, x);
  const shape = x.shape.slice(-2);
  const size = shape.map((each) => e.size(each));
  const all = e.op("aten::full.out", { size, fill_value: 1 }, { dtype: "bool", shape });
  const below = e.op("aten::tril.out", { self: all, diagonal: diagonal(e, node, -1) }, all);
  const args = { condition: below, self: e.number(x.dtype, 0), other: x };
  return e.op("aten::where.self_out", args, x);
}

/** k + more. */
function diagonal(e: Emitter, node: Node, more: number): Int {
  const k = node.optional("k");
  if (k === undefined) return more;
  if (k.contents !== undefined) return bound(e, addDims(k.contents[0]!, more));
  const a = e.int("aten::_local_scalar_dense", { self: e.tensor(k) });
  return more === 0 ? a : e.int("executorch_prim::add.Scalar", { a, b: more });
}

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
  range: one(range, refuseRange),
  tile: one(tile),
  triangle: one(triangle),
} satisfies Record<string, Decomposition>;
