import type { Node } from "../../../ir/graph.ts";
import { addDims, type Dim, isAtLeast, maxDims, maxOf, minOf, subtractDims } from "../../../tensor/dim.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { Int, PortableTensor } from "../value.ts";

/** Numbers so large mean "as far as it goes"; integers of programs are exact up to here. */
const farAway = Number.MAX_SAFE_INTEGER;
export const bound = (e: Emitter, dim: Dim): Int =>
  typeof dim === "number" ? Math.max(-farAway, Math.min(farAway, dim)) : e.size(dim);

/** A bound of an axis of `size` elements that is reversed, where it then is. */
function reversed(dim: Dim, size: Dim): Dim {
  const fromStart = minOf(dim) < 0 && maxOf(dim) <= 0 ? addDims(size, dim) : dim;
  return maxDims(subtractDims(subtractDims(size, 1), fromStart), 0);
}

/** The kernel goes forwards only: axes that are read backwards are reversed before. */
function slice(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const { shape } = node.results[0]!.type;
  const [starts, ends] = [node.arg("starts").contents!, node.arg("ends").contents!];
  const axes = (node.attrs.axes as readonly number[]).map((axis) => (axis + shape.length) % shape.length);
  const steps = node.attrs.steps as readonly number[];
  const dims = axes.filter((_, i) => steps[i]! < 0);
  const turned = dims.length === 0 ? x : e.op("aten::flip.out", { self: x, dims }, x);
  return axes.reduce((part, axis, i) => {
    const isForwards = steps[i]! > 0;
    const size = x.shape[axis]!;
    const [start, end] = [starts[i]!, ends[i]!].map((dim) => (isForwards ? dim : reversed(dim, size)));
    const isWhole = start === 0 && isAtLeast(end!, size) && steps[i] === -1;
    if (isWhole) return part;
    return e.slice(part, axis, bound(e, start!), bound(e, end!), shape[axis]!, Math.abs(steps[i]!));
  }, turned);
}

const refuseSlice = (node: Node): string | undefined => {
  const bounds = [node.arg("starts"), node.arg("ends")];
  return bounds.some(({ contents }) => contents === undefined)
    ? "its bounds must be known as sizes"
    : undefined;
};

export const slicing = { slice: one(slice, refuseSlice) } satisfies Record<string, Decomposition>;
