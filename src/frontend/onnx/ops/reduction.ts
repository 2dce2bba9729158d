import type { Builder, Value } from "../../../ir/graph.ts";
import type { ReduceOp } from "../../../ir/ops/signatures.ts";
import { castTo, literal, rankOf, reshapeTo, shapeOf } from "../../../ir/shorthand.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { axisAttribute, intsFrom, normalizeAxes } from "./arguments.ts";

type Reduce = (op: ReduceOp, x: Value) => Value;

/** Axes as an attribute or an input; none given means all, or none at all if the node says so. */
function reducedAxes(context: ImportContext): readonly number[] {
  const rank = rankOf(context.input(0));
  const given = normalizeAxes(context, intsFrom(context, "axes", 1) ?? [], rank);
  if (given.length > 0) return [...given].sort((p, q) => p - q);
  if (context.int("noop_with_empty_axes", 0) === 1) return [];
  return Array.from({ length: rank }, (_, axis) => axis);
}

/** A reduction with steps before or after it, which are done even where nothing is reduced. */
const composite =
  (f: (b: Builder, x: Value, reduce: Reduce) => Value): Importer =>
  (context) => {
    const { b } = context;
    const axes = reducedAxes(context);
    const keepdims = context.int("keepdims", 1) === 1;
    return [f(b, context.input(0), (op, x) => (axes.length === 0 ? x : b(op, { x }, { axes, keepdims })))];
  };

const plain = (op: ReduceOp): Importer => composite((_, x, reduce) => reduce(op, x));

/** Works in a float type for integers, and truncates back. */
function inFloat(b: Builder, x: Value, f: (x: Value) => Value): Value {
  const { dtype } = x.type;
  return castTo(b, f(castTo(b, x, isFloat(dtype) ? dtype : "f64")), dtype);
}

/** bool is ordered: false < true. */
const extreme = (op: "reduce_max" | "reduce_min"): Importer =>
  composite((b, x, reduce) => {
    const isBool = x.type.dtype === "bool";
    return isBool ? castTo(b, reduce(op, castTo(b, x, "u8")), "bool") : reduce(op, x);
  });

const sumOfSquares = (b: Builder, x: Value, reduce: Reduce): Value =>
  reduce("reduce_sum", b("mul", { a: x, b: x }));

const ReduceL2 = composite((b, x, reduce) =>
  inFloat(b, x, (floats) => b("sqrt", { x: sumOfSquares(b, floats, reduce) })),
);

const ReduceLogSum = composite((b, x, reduce) =>
  inFloat(b, x, (floats) => b("log", { x: reduce("reduce_sum", floats) })),
);

/** m + log Σ exp(x - m), where m is the largest element, or 0 where that is infinite and x - m would not be a number. */
const ReduceLogSumExp: Importer = (context) => {
  const { b } = context;
  const axes = reducedAxes(context);
  const reduce: Reduce = (op, x) => (axes.length === 0 ? x : b(op, { x }, { axes, keepdims: true }));
  const result = inFloat(b, context.input(0), (x) => {
    const largest = reduce("reduce_max", x);
    const isInfinite = b("is_inf", { x: largest }, { negative: true, positive: true });
    const shift = b("where", { condition: isInfinite, a: literal(b, x.type.dtype, 0), b: largest });
    const sum = reduce("reduce_sum", b("exp", { x: b("sub", { a: x, b: shift }) }));
    return b("add", { a: b("log", { x: sum }), b: shift });
  });
  if (context.int("keepdims", 1) === 1) return [result];
  const kept = shapeOf(context.input(0)).filter((_, axis) => !axes.includes(axis));
  return [reshapeTo(b, result, kept)];
};

const extremeIndex =
  (op: "argmax" | "argmin"): Importer =>
  (context) => {
    const x = context.input(0);
    const axis = axisAttribute(context, rankOf(x), 0);
    const keepdims = context.int("keepdims", 1) === 1;
    return [context.b(op, { x }, { axis, keepdims, last: context.int("select_last_index", 0) === 1 })];
  };

/** Results in order of size, whether the node asks for that or not. k is an attribute before opset 10. */
const TopK: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const [k] = context.node.opset < 10 ? [context.int("k")] : context.constantInts(1);
  const axis = axisAttribute(context, rankOf(x), -1);
  return b.all("topk", { x, k: b.dims([k!]) }, { axis, largest: context.int("largest", 1) === 1 });
};

export const reductionImporters: ImporterTable = {
  ArgMax: extremeIndex("argmax"),
  ArgMin: extremeIndex("argmin"),
  ReduceL1: composite((b, x, reduce) => reduce("reduce_sum", b("abs", { x }))),
  ReduceL2,
  ReduceLogSum,
  ReduceLogSumExp,
  ReduceMax: extreme("reduce_max"),
  ReduceMean: plain("reduce_mean"),
  ReduceMin: extreme("reduce_min"),
  ReduceProd: plain("reduce_prod"),
  ReduceSum: plain("reduce_sum"),
  ReduceSumSquare: composite(sumOfSquares),
  TopK,
};
