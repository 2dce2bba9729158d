import type { Value } from "../../../ir/graph.ts";
import { normalizeAxis } from "../../../ir/ops/shapes.ts";
import { gather } from "../kernels/gather/kernel.ts";
import { stridedCopy } from "../kernels/strided-copy/kernel.ts";
import { concatCopy, expandCopy, sliceCopy, transposeCopy } from "../kernels/strided-copy/layouts.ts";
import { triangle } from "../kernels/triangle/kernel.ts";
import type { Lowering } from "./group.ts";
import { axesOf, bind, operandOf, perNode, unknownSizes } from "./per-node.ts";

const transpose = perNode(
  "transpose",
  "One dispatch; none where only axes of size 1 change place.",
  ["transpose"],
  (emitter, node) => {
    const [x, result] = [node.arg("x"), node.results[0]!];
    const perm = node.attrs.perm as readonly number[];
    const shape = emitter.shape(x);
    const moved = perm.filter((axis) => shape[axis] !== 1);
    const isInOrder = moved.every((axis, i) => i === 0 || axis > moved[i - 1]!);
    if (isInOrder && !emitter.isOutput(result) && x.def.kind === "node") {
      emitter.place(result, emitter.read(x));
      return;
    }
    const { operands, slices } = bind(emitter, ["x"], [x]);
    emitter.dispatch(
      stridedCopy,
      transposeCopy(operands[0]!, perm),
      { ...slices, out: emitter.define(result) },
      node,
    );
  },
);

const expand = perNode("expand", "The op on its own: one dispatch.", ["expand"], (emitter, node) => {
  const { operands, slices } = bind(emitter, ["x"], [node.arg("x")]);
  const [result] = node.results as [Value];
  const params = expandCopy(operands[0]!, emitter.shape(result));
  emitter.dispatch(stridedCopy, params, { ...slices, out: emitter.define(result) }, node);
});

const slice = perNode(
  "slice",
  "The op on its own: one dispatch.",
  ["slice"],
  (emitter, node) => {
    const { operands, slices } = bind(emitter, ["x"], [node.arg("x")]);
    const [result] = node.results as [Value];
    const { axes, steps } = node.attrs as { axes: readonly number[]; steps: readonly number[] };
    const starts = node.arg("starts").contents!.map((start) => emitter.size(start));
    const params = sliceCopy(operands[0]!, axesOf(node, axes), starts, steps, emitter.shape(result));
    emitter.dispatch(stridedCopy, params, { ...slices, out: emitter.define(result) }, node);
  },
  (node) =>
    node.arg("starts").contents === undefined
      ? "Where it begins is computed while the program runs."
      : undefined,
);

const concat = perNode("concat", "One dispatch for each input.", ["concat"], (emitter, node) => {
  const inputs = node.list("inputs");
  const [result] = node.results as [Value];
  const out = emitter.define(result);
  const operands = inputs.map((input) => operandOf(emitter, input));
  const axis = normalizeAxis(node.attrs.axis as number, result.type.shape.length);
  inputs.forEach((input, i) => {
    emitter.dispatch(stridedCopy, concatCopy(operands, axis, i), { x: emitter.read(input), out }, node);
  });
});

const gatherAlongAxis = perNode("gather", "The op on its own: one dispatch.", ["gather"], (emitter, node) => {
  const [x, indices] = [node.arg("x"), node.arg("indices")];
  const { operands, slices } = bind(emitter, ["x", "indices"], [x, indices]);
  const [axis] = axesOf(node, [node.attrs.axis as number]) as [number];
  const params = { x: operands[0]!, indices: operands[1]!, axis };
  emitter.dispatch(gather, params, { ...slices, out: emitter.define(node.results[0]!) }, node);
});

const keepTriangle = perNode(
  "triangle",
  "The op on its own: one dispatch.",
  ["triangle"],
  (emitter, node) => {
    const { operands, slices } = bind(emitter, ["x"], [node.arg("x")]);
    const [k = 0] = node.optional("k")?.contents ?? [];
    const params = { input: operands[0]!, upper: node.attrs.upper as boolean, k: emitter.size(k) };
    emitter.dispatch(triangle, params, { ...slices, out: emitter.define(node.results[0]!) }, node);
  },
  (node) => {
    const k = node.optional("k");
    return k !== undefined && k.contents === undefined ? unknownSizes : undefined;
  },
);

/** Ops that move elements. */
export const movementLowerings: readonly Lowering[] = [
  transpose,
  expand,
  slice,
  concat,
  gatherAlongAxis,
  keepTriangle,
];
