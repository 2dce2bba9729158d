import type { Node } from "../../../ir/graph.ts";
import { addDims, type Dim } from "../../../tensor/dim.ts";
import { copyRows } from "../kernels/copy-rows/kernel.ts";
import { groupOfOne, type Lowering } from "./group.ts";

/** The same elements under another shape: nothing moves. */
export const reshape: Lowering = {
  name: "reshape",
  doc: "No dispatch: the same memory in another shape.",
  match: (node) =>
    node.op === "reshape"
      ? groupOfOne("reshape", node, (emitter) => emitter.place(node.results[0]!, emitter.read(node.arg("x"))))
      : undefined,
};

/** A slice of one row, such as the last token's before the head. */
export const rowSlice: Lowering = {
  name: "row-slice",
  doc: "Rows of x [1, S, K]: one dispatch, or none where they are all there are.",
  match(node) {
    if (node.op !== "slice" || node.arg("x").type.dtype !== "f32") return undefined;
    const range = rowsOf(node);
    if (range === undefined) return undefined;
    return groupOfOne("row-slice", node, (emitter) => {
      const [x, result] = [node.arg("x"), node.results[0]!];
      const [first, rows] = [emitter.size(range.first), emitter.rowCount(result)];
      if (first === 0 && rows === emitter.rowCount(x) && !emitter.isOutput(result)) {
        emitter.place(result, emitter.read(x));
        return;
      }
      const width = x.type.shape.at(-1) as number;
      emitter.dispatch(
        copyRows,
        { rows, width, first },
        { x: emitter.read(x), out: emitter.define(result) },
        node,
      );
    });
  },
};

/** Where a slice along the only row axis begins. */
function rowsOf(node: Node): { readonly first: Dim } | undefined {
  const x = node.arg("x");
  const { axes, steps } = node.attrs as {
    readonly axes: readonly number[];
    readonly steps: readonly number[];
  };
  const rank = x.type.shape.length;
  const [axis] = axes;
  const at = axis !== undefined && axis < 0 ? axis + rank : axis;
  const isRowAxis = axes.length === 1 && steps[0] === 1 && at === rank - 2 && rank >= 2;
  const others = x.type.shape.slice(0, -2).every((size) => size === 1);
  const [start] = node.arg("starts").contents ?? [];
  if (!isRowAxis || !others || typeof start !== "number" || typeof x.type.shape.at(-1) !== "number")
    return undefined;
  return { first: start < 0 ? addDims(x.type.shape[rank - 2]!, start) : start };
}
