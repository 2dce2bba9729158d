import type { Value } from "../../../ir/graph.ts";
import type { ArithmeticOp, ComparisonOp, UnaryOp } from "../../../ir/ops/signatures.ts";
import { castTo, rankOf } from "../../../ir/shorthand.ts";
import { type DType, isFloat } from "../../../tensor/dtype.ts";
import { tensor } from "../../../tensor/tensor.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { dtypeAttribute, normalizeAxis } from "./arguments.ts";

const unary =
  (op: UnaryOp): Importer =>
  (context) => [context.b(op, { x: context.input(0) })];

const binary =
  (op: ArithmeticOp | ComparisonOp): Importer =>
  (context) => [context.b(op, { a: context.input(0), b: context.input(1) })];

/** Takes one input or more and applies the op from left to right. */
const variadic =
  (op: ArithmeticOp): Importer =>
  (context) => [fold(context, op)];

const fold = (context: ImportContext, op: ArithmeticOp): Value =>
  context.node.inputs.map((_, i) => context.input(i)).reduce((a, next) => context.b(op, { a, b: next }));

const Mean: Importer = (context) => {
  const sum = fold(context, "add");
  const count = context.node.inputs.length;
  return [count === 1 ? sum : context.b("div", { a: sum, b: context.scalar(count, sum) })];
};

const Mod: Importer = (context) => {
  const op = context.int("fmod", 0) === 1 ? "fmod" : "mod";
  return [context.b(op, { a: context.input(0), b: context.input(1) })];
};

const BitShift: Importer = (context) => {
  const direction = context.string("direction");
  if (direction !== "LEFT" && direction !== "RIGHT")
    context.unsupported(`direction "${direction}" is not known`);
  const op = direction === "LEFT" ? "shift_left" : "shift_right";
  return [context.b(op, { a: context.input(0), b: context.input(1) })];
};

/** The result has the base's dtype; integers to the power of floats are formed as floats and truncated. */
const Pow: Importer = (context) => {
  const { b } = context;
  const base = context.input(0);
  const exponent = context.input(1);
  const common = isExactIn(exponent, base.type.dtype)
    ? base.type.dtype
    : powerDType(base.type.dtype, exponent.type.dtype);
  const power = b("pow", { a: castTo(b, base, common), b: castTo(b, exponent, common) });
  return [castTo(b, power, base.type.dtype)];
};

/** Whether a constant exponent is the same number in the base's float type, as 2 is. */
function isExactIn({ def }: Value, dtype: DType): boolean {
  if (def.kind !== "const" || def.data.inline === undefined || !isFloat(dtype)) return false;
  const { shape, data } = def.data.inline;
  const rounded = tensor(dtype, shape, Array.from(data));
  return data.every((value: number, i: number) => value === rounded.data[i]);
}

function powerDType(base: DType, exponent: DType): DType {
  if (base === exponent || (isFloat(base) && !isFloat(exponent))) return base;
  return isFloat(exponent) ? "f64" : "i64";
}

/** max(x, low), then min(…, high), so the upper bound wins where they cross. Attributes before opset 11. */
const Clip: Importer = (context) => {
  const { b, node } = context;
  const x = context.input(0);
  const bound = (name: string, index: number): Value | undefined => {
    if (node.opset >= 11) return context.optional(index);
    return node.attributes.has(name) ? context.scalar(context.float(name), x) : undefined;
  };
  const low = bound("min", 1);
  const high = bound("max", 2);
  const raised = low === undefined ? x : b("maximum", { a: x, b: low });
  return [high === undefined ? raised : b("minimum", { a: raised, b: high })];
};

const Cast: Importer = (context) => [castTo(context.b, context.input(0), dtypeAttribute(context, "to"))];

const CastLike: Importer = (context) => [castTo(context.b, context.input(0), context.input(1).type.dtype)];

const CumSum: Importer = (context) => {
  const x = context.input(0);
  const axis = normalizeAxis(context, context.constantInts(1)[0]!, rankOf(x));
  const exclusive = context.int("exclusive", 0) === 1;
  return [context.b("cumsum", { x }, { axis, exclusive, reverse: context.int("reverse", 0) === 1 })];
};

const IsInf: Importer = (context) => {
  const negative = context.int("detect_negative", 1) === 1;
  const positive = context.int("detect_positive", 1) === 1;
  return [context.b("is_inf", { x: context.input(0) }, { negative, positive })];
};

const Where: Importer = (context) => [
  context.b("where", { condition: context.input(0), a: context.input(1), b: context.input(2) }),
];

export const elementwiseImporters: ImporterTable = {
  Abs: unary("abs"),
  Acos: unary("acos"),
  Acosh: unary("acosh"),
  Asin: unary("asin"),
  Asinh: unary("asinh"),
  Atan: unary("atan"),
  Atanh: unary("atanh"),
  BitwiseNot: unary("bitwise_not"),
  Ceil: unary("ceil"),
  Cos: unary("cos"),
  Cosh: unary("cosh"),
  Erf: unary("erf"),
  Exp: unary("exp"),
  Floor: unary("floor"),
  IsNaN: unary("is_nan"),
  Log: unary("log"),
  Neg: unary("neg"),
  Not: unary("not"),
  Reciprocal: unary("reciprocal"),
  Round: unary("round"),
  Sign: unary("sign"),
  Sin: unary("sin"),
  Sinh: unary("sinh"),
  Sqrt: unary("sqrt"),
  Tan: unary("tan"),
  Tanh: unary("tanh"),
  Add: binary("add"),
  And: binary("and"),
  BitwiseAnd: binary("bitwise_and"),
  BitwiseOr: binary("bitwise_or"),
  BitwiseXor: binary("bitwise_xor"),
  Div: binary("div"),
  Equal: binary("equal"),
  Greater: binary("greater"),
  GreaterOrEqual: binary("greater_equal"),
  Less: binary("less"),
  LessOrEqual: binary("less_equal"),
  Mul: binary("mul"),
  Or: binary("or"),
  Sub: binary("sub"),
  Xor: binary("xor"),
  Max: variadic("maximum"),
  Min: variadic("minimum"),
  Sum: variadic("add"),
  BitShift,
  Cast,
  CastLike,
  Clip,
  CumSum,
  IsInf,
  Mean,
  Mod,
  Pow,
  Where,
};
