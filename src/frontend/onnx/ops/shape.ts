import type { Value } from "../../../ir/graph.ts";
import { broadcastShapes, reshapedShape } from "../../../ir/ops/shapes.ts";
import {
  elementCountOf,
  expandTo,
  rankOf,
  reshapeTo,
  shapeOf,
  sizeOf,
  transposeTo,
} from "../../../ir/shorthand.ts";
import { type Dim, floorDivideDims, multiplyDims, productOf } from "../../../tensor/dim.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { axisAttribute, intsFrom, normalizeAxes, sizesInput } from "./arguments.ts";

/** 0 copies the input's size unless `allowzero`; one -1 takes what is left. */
const Reshape: Importer = (context) => {
  const x = context.input(0);
  const requested = sizesInput(context, 1);
  const isLiteral = context.int("allowzero", 0) === 1;
  const sizes = requested.map((size, i) => (size === 0 && !isLiteral ? copiedSize(context, x, i) : size));
  return [reshapeTo(context.b, x, reshapedShape(shapeOf(x), sizes))];
};

const copiedSize = (context: ImportContext, x: Value, axis: number): Dim =>
  shapeOf(x)[axis] ??
  context.unsupported(`size ${axis} of the shape is 0, and the input has no such dimension`);

/** Two dimensions: those before `axis`, and the rest. The axis may be the rank. */
const Flatten: Importer = (context) => {
  const x = context.input(0);
  const axis = axisAttribute(context, rankOf(x) + 1, 1) - (context.int("axis", 1) < 0 ? 1 : 0);
  return [reshapeTo(context.b, x, [productOf(shapeOf(x).slice(0, axis)), productOf(shapeOf(x).slice(axis))])];
};

const Squeeze: Importer = (context) => {
  const x = context.input(0);
  const given = intsFrom(context, "axes", 1);
  const axes = given && normalizeAxes(context, given, rankOf(x));
  const kept = shapeOf(x).filter((size, axis) => (axes ? !axes.includes(axis) : size !== 1));
  return [reshapeTo(context.b, x, kept)];
};

const Unsqueeze: Importer = (context) => {
  const x = context.input(0);
  const given = intsFrom(context, "axes", 1) ?? [];
  const axes = normalizeAxes(context, given, rankOf(x) + given.length);
  const rest = [...shapeOf(x)];
  const shape = Array.from({ length: rankOf(x) + axes.length }, (_, axis) =>
    axes.includes(axis) ? 1 : rest.shift()!,
  );
  return [reshapeTo(context.b, x, shape)];
};

const Transpose: Importer = (context) => {
  const x = context.input(0);
  const perm = context.ints("perm") ?? shapeOf(x).map((_, axis) => rankOf(x) - 1 - axis);
  return [transposeTo(context.b, x, perm)];
};

/** Broadcasts both ways: a size of 1 in the requested shape keeps the input's. */
const Expand: Importer = (context) => {
  const x = context.input(0);
  return [expandTo(context.b, x, broadcastShapes(shapeOf(x), sizesInput(context, 1)))];
};

/** Since opset 15 a range of the axes can be asked for; its ends are clamped. */
const Shape: Importer = (context) => {
  const x = context.input(0);
  return [context.b.dims(shapeOf(x).slice(context.int("start", 0), context.int("end", rankOf(x))))];
};

const Size: Importer = (context) => [context.b.dims(elementCountOf(context.input(0)))];

/** [N, C, H, W] → [N, C/k², H·k, W·k] */
const DepthToSpace: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const [n, c, h, w] = imageShape(context, x);
  const k = context.int("blocksize");
  const depth = floorDivideDims(c, k * k);
  const isColumnFirst = context.string("mode", "DCR") === "CRD";
  const split = reshapeTo(b, x, isColumnFirst ? [n, depth, k, k, h, w] : [n, k, k, depth, h, w]);
  const moved = transposeTo(b, split, isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]);
  return [reshapeTo(b, moved, [n, depth, multiplyDims(h, k), multiplyDims(w, k)])];
};

/** [N, C, H, W] → [N, C·k², H/k, W/k] */
const SpaceToDepth: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const [n, c, h, w] = imageShape(context, x);
  const k = context.int("blocksize");
  const split = reshapeTo(b, x, [n, c, floorDivideDims(h, k), k, floorDivideDims(w, k), k]);
  const moved = transposeTo(b, split, [0, 3, 5, 1, 2, 4]);
  return [reshapeTo(b, moved, [n, multiplyDims(c, k * k), sizeOf(split, 2), sizeOf(split, 4)])];
};

function imageShape(context: ImportContext, x: Value): readonly [Dim, Dim, Dim, Dim] {
  const [n, c, h, w] = shapeOf(x);
  if (rankOf(x) !== 4) context.unsupported("the input must have four dimensions");
  return [n!, c!, h!, w!];
}

export const shapeImporters: ImporterTable = {
  DepthToSpace,
  Expand,
  Flatten,
  Identity: (context) => [context.input(0)],
  Reshape,
  Shape,
  Size,
  SpaceToDepth,
  Squeeze,
  Transpose,
  Unsqueeze,
};
