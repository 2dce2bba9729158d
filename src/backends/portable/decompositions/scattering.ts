import type { Node } from "../../../ir/graph.ts";
import { productOf } from "../../../tensor/dim.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";
import { axisOf, indicesFromStart, refuseEmptyTuples, tupleParts } from "./indices.ts";

/** Reductions that kernels do not scatter with, by the kernel of two tensors. */
const combining = { mul: "aten::mul.out", min: "aten::minimum.out", max: "aten::maximum.out" } as const;
type Combining = (typeof combining)[keyof typeof combining];

const combiningOf = (node: Node): Combining | undefined =>
  combining[node.attrs.reduction as keyof typeof combining];

/** Updates that are combined one after the other: each is several calls, and a copy of x. */
const mostUpdates = 64;

/** Sums and products of floats in f32, and rounded once, as the reference has them. */
function widened(
  e: Emitter,
  node: Node,
  compute: (x: PortableTensor, updates: PortableTensor) => PortableTensor,
): PortableTensor {
  const [x, updates] = [e.tensor(node.arg("x")), e.tensor(node.arg("updates"))];
  const isRounded = node.attrs.reduction === "add" || node.attrs.reduction === "mul";
  const isNarrow = x.dtype === "f16" || x.dtype === "bf16";
  if (!(isRounded && isNarrow)) return compute(x, updates);
  return e.cast(compute(e.cast(x, "f32"), e.cast(updates, "f32")), x.dtype);
}

function scatterElements(e: Emitter, node: Node): PortableTensor {
  return widened(e, node, (x, src) => {
    const dim = axisOf(node, x);
    const index = indicesFromStart(e, node.arg("indices"), x.shape[dim]!);
    const op = combiningOf(node);
    if (op === undefined) {
      const kernel = node.attrs.reduction === "add" ? "aten::scatter_add.out" : "aten::scatter.src_out";
      return e.op(kernel, { self: x, dim, index, src }, x);
    }
    // No two indices of one position along the axis name the same element.
    return positions(index.shape[dim] as number).reduce((self, k) => {
      const [here, update] = [index, src].map((each) => e.slice(each, dim, k, k + 1, 1));
      const args = { self, dim, index: here!, sparse_grad: false };
      const old = e.op("aten::gather.out", args, update!);
      const combined = e.op(op, { self: old, other: update! }, update!);
      return e.op("aten::scatter.src_out", { self, dim, index: here!, src: combined }, x);
    }, x);
  });
}

function scatterBlocks(e: Emitter, node: Node): PortableTensor {
  return widened(e, node, (x, updates) => {
    const indices = node.arg("indices");
    const count = productOf(indices.type.shape.slice(0, -1));
    const parts = tupleParts(e, indices, [count]);
    const values = e.view(updates, [count, ...x.shape.slice(parts.length)]);
    const put = (self: PortableTensor, at: typeof parts, what: PortableTensor, accumulate: boolean) =>
      e.op("aten::index_put.out", { self, indices: at, values: what, accumulate }, x);
    const op = combiningOf(node);
    if (op === undefined) return put(x, parts, values, node.attrs.reduction === "add");
    return positions(count as number).reduce((self, k) => {
      const here = parts.map((part) => e.slice(part, 0, k, k + 1, 1));
      const update = e.slice(values, 0, k, k + 1, 1);
      const old = e.op("aten::index.Tensor_out", { self, indices: here }, update);
      return put(self, here, e.op(op, { self: old, other: update }, update), false);
    }, x);
  });
}

const positions = (count: number): readonly number[] => Array.from({ length: count }, (_, k) => k);

/** @param updatesOf how many updates may be for one element */
const refuseMany =
  (updatesOf: (node: Node) => unknown) =>
  (node: Node): string | undefined => {
    const updates = updatesOf(node);
    if (combiningOf(node) === undefined || (typeof updates === "number" && updates <= mostUpdates))
      return undefined;
    return `no kernel scatters with the reduction ${node.attrs.reduction}, and it has ${typeof updates === "number" ? updates : "an unknown number of"} updates of what may be one element`;
  };

const refuseElements = refuseMany((node) => {
  const { shape } = node.arg("indices").type;
  return shape.at(node.attrs.axis as number);
});
const refuseBlocks = refuseMany((node) => productOf(node.arg("indices").type.shape.slice(0, -1)));

export const scattering = {
  scatter_elements: one(scatterElements, refuseElements),
  scatter_nd: one(scatterBlocks, (node) => refuseBlocks(node) ?? refuseEmptyTuples(node)),
} satisfies Record<string, Decomposition>;
