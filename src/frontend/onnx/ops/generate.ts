import type { Value } from "../../../ir/graph.ts";
import {
  alongAxis,
  castTo,
  expandTo,
  literal,
  rangeOf,
  rankOf,
  reshapeTo,
  shapeOf,
  sizeOf,
  sliceAxis,
} from "../../../ir/shorthand.ts";
import { inlineWeight } from "../../../ir/weights.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { Importer, ImporterTable } from "../importer.ts";
import { dtypeAttribute, has, normalizeAxis, sizesInput, wanted } from "./arguments.ts";

const zero: Tensor = { dtype: "f32", shape: [1], data: new Float32Array(1) };

const ConstantOfShape: Importer = (context) => {
  const { b } = context;
  const value = { ...(context.tensor("value") ?? zero), shape: [] };
  return [expandTo(b, b.constant(inlineWeight(value)), sizesInput(context, 0))];
};

/** The step may be left out in com.microsoft. Sizes can be symbolic in i64 and i32; else the ends must be known. */
const Range: Importer = (context) => {
  const { b } = context;
  const { dtype } = context.input(0).type;
  const hasStep = has(context, 2);
  if (dtype === "i64" || dtype === "i32") {
    const [start, limit] = [0, 1].map((i) => reshapeTo(b, context.input(i), [])) as [Value, Value];
    const delta = hasStep ? reshapeTo(b, context.input(2), []) : literal(b, dtype, 1);
    return [b("range", { start, limit, delta })];
  }
  const [start, limit] = [0, 1].map((i) => context.constantInts(i)[0]!) as [number, number];
  const delta = hasStep ? context.constantInts(2)[0]! : 1;
  const length = Math.max(0, Math.ceil((limit - start) / delta));
  const elements = Array.from({ length }, (_, i) => start + i * delta);
  return [literal(b, dtype, elements)];
};

/** Ones where column - row = k. */
const EyeLike: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const dtype = context.node.attributes.has("dtype") ? dtypeAttribute(context, "dtype") : x.type.dtype;
  const rows = alongAxis(b, rangeOf(b, 0, sizeOf(x, 0)), 0, 2);
  const columns = alongAxis(b, rangeOf(b, 0, sizeOf(x, 1)), 1, 2);
  const shifted = b("add", { a: rows, b: b.dims(context.int("k", 0)) });
  return [castTo(b, b("equal", { a: columns, b: shifted }), dtype)];
};

/** `values` holds [off, on]. Negative indices count from the end; others out of range match nothing. */
const OneHot: Importer = (context) => {
  const { b } = context;
  const indices = castTo(b, context.input(0), "i64");
  const [depth] = sizesInput(context, 1);
  const values = context.input(2);
  const rank = rankOf(indices) + 1;
  const axis = normalizeAxis(context, context.int("axis", -1), rank);
  const isNegative = b("less", { a: indices, b: b.dims(0) });
  const wrapped = b("add", { a: indices, b: b.dims(depth!) });
  const positive = b("where", { condition: isNegative, a: wrapped, b: indices });
  const column = reshapeTo(b, positive, shapeOf(indices).toSpliced(axis, 0, 1));
  const condition = b("equal", { a: column, b: alongAxis(b, rangeOf(b, 0, depth!), axis, rank) });
  const pick = (i: number) => reshapeTo(b, sliceAxis(b, values, 0, i, i + 1), []);
  return [b("where", { condition, a: pick(1), b: pick(0) })];
};

/** Keeps everything, as inference does. In training only a ratio of 0 has a defined result. */
const Dropout: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const isTraining = has(context, 2) && context.constantInts(2)[0] === 1;
  if (isTraining && (has(context, 1) ? context.constantInts(1)[0] : 0.5) !== 0)
    context.unsupported("training mode drops elements at random");
  const maskDType = context.node.opset < 10 ? x.type.dtype : "bool";
  return wanted(context, x, () => expandTo(b, literal(b, maskDType, 1), shapeOf(x)));
};

export const generateImporters: ImporterTable = { ConstantOfShape, Dropout, EyeLike, OneHot, Range };
