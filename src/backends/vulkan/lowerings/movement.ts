import type { Node } from "../../../ir/graph.ts";
import { f32 } from "../../../ir/type.ts";
import {
  addDims,
  type Dim,
  isSymbolic,
  maxDims,
  maxOf,
  minDims,
  minOf,
  sameDim,
} from "../../../tensor/dim.ts";
import { swapAxes } from "../../cached-attention.ts";
import type { Emitter } from "../emitter.ts";
import { one, resultType, type VulkanLowering } from "../lowering.ts";
import type { Int, VulkanTensor } from "../value.ts";

/** Swapping heads and tokens moves nothing: it is left to who uses the result. */
function transpose(e: Emitter, node: Node): void {
  const perm = node.attrs.perm as readonly number[];
  const [x, result] = [node.arg("x"), node.results[0]!];
  if (perm.join() === swapAxes.join()) e.bindSwappedOf(result, x);
  else e.bind(result, e.permute(e.tensor(x), perm));
}

/**
 * One after another along each axis. Bounds from the end are counted from the size that there is; for the last row
 * alone there is an op that does.
 */
function slice(e: Emitter, node: Node): VulkanTensor {
  const { shape } = node.results[0]!.type;
  const [starts, ends] = [node.arg("starts").contents!, node.arg("ends").contents!];
  const steps = node.attrs.steps as readonly number[];
  /** The op takes no bound that is beyond the axis. */
  const bound = (size: Dim, at: Dim): Int => {
    const fromStart = isSymbolic(at) || at >= 0 ? at : addDims(size, at);
    return e.size(maxDims(0, minDims(size, fromStart)));
  };
  return (node.attrs.axes as readonly number[]).reduce(
    (self, axis, i) => {
      const dim = (axis + shape.length) % shape.length;
      const size = node.arg("x").type.shape[dim]!;
      const [start, end] = [bound(size, starts[i]!), bound(size, ends[i]!)];
      const args = { self, dim, start, end, step: steps[i]! };
      return e.op("aten.slice_copy.Tensor", args, f32(self.shape.with(dim, shape[dim]!)));
    },
    e.tensor(node.arg("x")),
  );
}

function refuseSlice(node: Node): string | undefined {
  const bounds = [...(node.arg("starts").contents ?? []), ...(node.arg("ends").contents ?? [])];
  if (node.arg("starts").contents === undefined || node.arg("ends").contents === undefined)
    return "its bounds must be known as sizes";
  if ((node.attrs.steps as readonly number[]).some((step) => step < 1)) return "it cannot go backwards";
  if (bounds.some((bound) => isSymbolic(bound) && minOf(bound) < 0))
    return "a bound that is computed must not be negative";
  return undefined;
}

function isSameShape(node: Node): boolean {
  const [from, to] = [node.arg("x").type.shape, node.results[0]!.type.shape];
  return from.length === to.length && to.every((size, axis) => sameDim(from[axis]!, size));
}

function expand(e: Emitter, node: Node): VulkanTensor {
  const self = e.tensor(node.arg("x"));
  if (isSameShape(node)) return self;
  const size = node.results[0]!.type.shape.map(maxOf);
  return e.op("aten.expand_copy.default", { self, size, implicit: false }, resultType(node));
}

/** The backend for WebGPU takes no other sizes. */
const refuseExpand = (node: Node): string | undefined =>
  !isSameShape(node) && node.results[0]!.type.shape.some(isSymbolic)
    ? "expand_copy takes sizes that are known"
    : undefined;

export const movement = {
  reshape: one((e, node) => e.view(e.tensor(node.arg("x")), node.results[0]!.type.shape)),
  transpose: { emit: transpose },
  expand: one(expand, refuseExpand),
  slice: one(slice, refuseSlice),
  concat: one((e, node) => {
    const tensors = node.list("inputs").map((input) => e.tensor(input));
    return e.op("aten.cat.default", { tensors, dim: node.attrs.axis as number }, resultType(node));
  }),
} satisfies Record<string, VulkanLowering>;
