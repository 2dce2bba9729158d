import type { Builder, Value } from "../../ir/graph.ts";
import { type Dim, isSymbolic } from "../../tensor/dim.ts";

const huge = 2 ** 62;

export const lastDim = (value: Value): Dim => value.type.shape.at(-1)!;

/** Elements `from` (inclusive) to `to` (exclusive) of the last axis. */
export function sliceLast(b: Builder, x: Value, from: number, to: number): Value {
  const axes = [x.type.shape.length - 1];
  return b("slice", { x, starts: b.dims([from]), ends: b.dims([to]) }, { axes, steps: [1] });
}

/** Which part of the last axis a slice takes, when it takes one with step 1. */
export function lastAxisRange(slice: Value): readonly [number, number] | undefined {
  const node = slice.node!;
  const rank = slice.type.shape.length;
  const axes = node.attrs.axes as readonly number[];
  const size = lastDim(node.arg("x"));
  if (
    axes.length !== 1 ||
    (axes[0]! + rank) % rank !== rank - 1 ||
    (node.attrs.steps as readonly number[])[0] !== 1
  )
    return undefined;
  const [start, end] = [node.arg("starts").contents?.[0], node.arg("ends").contents?.[0]];
  if (typeof start !== "number" || typeof end !== "number" || isSymbolic(size)) return undefined;
  const bound = (at: number) => Math.min(size, Math.max(0, at < 0 ? at + size : at));
  return [bound(start), bound(Math.min(end, huge))];
}
