import type { Node } from "../../../ir/graph.ts";
import { subtractDims } from "../../../tensor/dim.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";
import { rounded, widened } from "./widening.ts";

function cumulativeSum(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const rank = x.shape.length;
  const axis = ((node.attrs.axis as number) + rank) % rank;
  const turned = (of: PortableTensor) =>
    node.attrs.reverse === true ? e.op("aten::flip.out", { self: of, dims: [axis] }, of) : of;
  const inOrder = turned(x);
  const self = node.attrs.exclusive === true ? delayed(e, inOrder, axis) : inOrder;
  const type = { dtype: widened(x.dtype), shape: x.shape };
  return turned(e.op("aten::cumsum.out", { self, dim: axis, dtype: undefined }, type));
}

/** A zero and all elements along an axis but the last. */
function delayed(e: Emitter, x: PortableTensor, axis: number): PortableTensor {
  const count = subtractDims(x.shape[axis]!, 1);
  const before = e.slice(x, axis, 0, e.size(count), count);
  // Before and after each axis, the last one first.
  const pad = [...x.shape.slice(axis + 1).flatMap(() => [0, 0]), 1, 0];
  return e.op("aten::constant_pad_nd.out", { self: before, pad, value: 0 }, x);
}

export const cumsum = rounded(cumulativeSum);
