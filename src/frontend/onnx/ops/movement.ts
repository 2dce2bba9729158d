import { rankOf, reshapeTo, shapeOf, sizeOf, sliceAxis } from "../../../ir/shorthand.ts";
import { addDims, ceilDivideDims, type Dim, isSymbolic, unboundedDim } from "../../../tensor/dim.ts";
import type { Importer, ImporterTable } from "../importer.ts";
import { axisAttribute, has, intsFrom, normalizeAxes, sizesInput } from "./arguments.ts";

const Concat: Importer = (context) => {
  const inputs = context.node.inputs.map((_, i) => context.input(i));
  if (inputs.length === 1) return inputs;
  return [context.b("concat", { inputs }, { axis: axisAttribute(context, rankOf(inputs[0]!), 0) })];
};

/** Sizes as an attribute (before opset 13) or an input; else equal parts, the last one smaller where that is needed. */
const Split: Importer = (context) => {
  const { b, node } = context;
  const x = context.input(0);
  const axis = axisAttribute(context, rankOf(x), 0);
  const sizes = context.ints("split") ?? (has(context, 1) ? sizesInput(context, 1) : undefined);
  const part = ceilDivideDims(sizeOf(x, axis), context.int("num_outputs", node.outputs.length));
  let from: Dim = 0;
  return node.outputs.map((_, i) => {
    const isLast = i === node.outputs.length - 1;
    const to = isLast ? sizeOf(x, axis) : addDims(from, sizes?.[i] ?? part);
    const result = from === 0 && isLast ? x : sliceAxis(b, x, axis, from, to);
    from = to;
    return result;
  });
};

/** Starts and ends as attributes before opset 10. "To the end" is spelled as the largest integer of some type. */
const Slice: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const sizes = (name: string, index: number): readonly Dim[] =>
    context.ints(name) ?? sizesInput(context, index);
  const starts = sizes("starts", 1).map(clampIndex);
  const ends = sizes("ends", 2).map(clampIndex);
  const axes = normalizeAxes(context, intsFrom(context, "axes", 3) ?? starts.map((_, i) => i), rankOf(x));
  const steps = has(context, 4) ? context.constantInts(4) : axes.map(() => 1);
  const reached = ends.map((end, i) => (end === unboundedDim && steps[i]! > 0 ? sizeOf(x, axes[i]!) : end));
  const isWhole = axes.every(
    (axis, i) => starts[i] === 0 && steps[i] === 1 && reached[i] === sizeOf(x, axis),
  );
  if (isWhole) return [x];
  return [b("slice", { x, starts: b.dims(starts), ends: b.dims(reached) }, { axes, steps })];
};

const clampIndex = (index: Dim): Dim =>
  isSymbolic(index) ? index : Math.max(-unboundedDim, Math.min(unboundedDim, index));

const padModes = ["constant", "reflect", "edge", "wrap"] as const;

/** Pads as an attribute before opset 11; since 18 for some axes only. */
const Pad: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const rank = rankOf(x);
  const name = context.string("mode", "constant");
  const mode =
    padModes.find((known) => known === name) ?? context.unsupported(`mode "${name}" is not supported`);
  const given = context.ints("pads") ?? sizesInput(context, 1);
  const axes = has(context, 3)
    ? normalizeAxes(context, context.constantInts(3), rank)
    : shapeOf(x).map((_, i) => i);
  const pads: Dim[] = Array.from({ length: 2 * rank }, () => 0);
  for (const [i, axis] of axes.entries()) {
    pads[axis] = given[i]!;
    pads[rank + axis] = given[axes.length + i]!;
  }
  const fill = context.optional(2) ?? context.scalar(context.float("value", 0), x);
  const value = mode === "constant" ? { value: reshapeTo(b, fill, []) } : {};
  return [b("pad", { x, pads: b.dims(pads), ...value }, { mode })];
};

const Tile: Importer = (context) => {
  const repeats = sizesInput(context, 1);
  const x = context.input(0);
  return [repeats.every((n) => n === 1) ? x : context.b("tile", { x, repeats: context.b.dims(repeats) })];
};

const Trilu: Importer = (context) => {
  const { b } = context;
  const diagonal = context.optional(1);
  const k = diagonal === undefined ? {} : { k: reshapeTo(b, diagonal, []) };
  return [b("triangle", { x: context.input(0), ...k }, { upper: context.int("upper", 1) === 1 })];
};

export const movementImporters: ImporterTable = {
  Concat,
  Pad,
  Slice,
  Split,
  Tile,
  Trilu,
};
