import type { Builder, Value } from "../../../ir/graph.ts";
import { castTo, literal, rankOf, reshapeTo, sizeOf, transposeLast } from "../../../ir/shorthand.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { saturate } from "./quantization.ts";

/** x times a constant factor; x itself for 1. */
export const scaledBy = (b: Builder, x: Value, factor: number): Value =>
  factor === 1 ? x : b("mul", { a: x, b: literal(b, x.type.dtype, factor) });

const MatMul: Importer = (context) => [context.b("matmul", { a: context.input(0), b: context.input(1) })];

/** alpha·A·B + beta·C, each of A and B transposed if asked. With B given as [N, K] it is a linear layer. */
function gemm(context: ImportContext): Value {
  const { b } = context;
  const a = context.int("transA", 0) === 1 ? transposeLast(b, context.input(0)) : context.input(0);
  const weight = context.input(1);
  const c = context.optional(2);
  const alpha = context.float("alpha", 1);
  const beta = context.float("beta", 1);
  const isTransposed = context.int("transB", 0) === 1;
  const isLinear = isTransposed && isFloat(a.type.dtype);
  const isBias = c !== undefined && rankOf(c) === 1 && sizeOf(c, 0) === sizeOf(weight, 0);
  if (isLinear && isBias && alpha === 1 && beta === 1) return b("nn.linear", { x: a, weight, bias: c });
  const matrix = isTransposed && !isLinear ? transposeLast(b, weight) : weight;
  const product = isLinear ? b("nn.linear", { x: a, weight }) : b("matmul", { a, b: matrix });
  const scaled = scaledBy(b, product, alpha);
  return c === undefined || beta === 0 ? scaled : b("add", { a: scaled, b: scaledBy(b, c, beta) });
}

/** A scale or zero point for each row of a matrix, laid along its rows; one for all or for each column broadcasts as it is. */
function alongRows(b: Builder, parameter: Value, matrix: Value): Value {
  const isVector = rankOf(parameter) === 1 && rankOf(matrix) > 1;
  return isVector ? reshapeTo(b, parameter, [sizeOf(parameter, 0), 1]) : parameter;
}

function centred(b: Builder, matrix: Value, zeroPoint: Value | undefined): Value {
  const x = castTo(b, matrix, "i32");
  return zeroPoint === undefined ? x : b("sub", { a: x, b: castTo(b, zeroPoint, "i32") });
}

/** The exact i32 product of two matrices of 8-bit integers, without their zero points. */
export function integerProduct(
  b: Builder,
  a: Value,
  c: Value,
  aZero: Value | undefined,
  cZero: Value | undefined,
): Value {
  const rows = aZero && alongRows(b, aZero, a);
  return b("matmul", { a: centred(b, a, rows), b: centred(b, c, cZero) });
}

const MatMulInteger: Importer = (context) => [
  integerProduct(context.b, context.input(0), context.input(1), context.optional(2), context.optional(3)),
];

/** Inputs: a, its scale and zero point; b, its scale and zero point; the result's scale and zero point. */
const QLinearMatMul: Importer = (context) => {
  const { b } = context;
  const [a, c] = [context.input(0), context.input(3)];
  const zeroPoint = context.input(7);
  const product = castTo(b, integerProduct(b, a, c, context.input(2), context.input(5)), "f32");
  const floats = (index: number): Value => castTo(b, context.input(index), "f32");
  const factor = b("mul", { a: alongRows(b, floats(1), a), b: floats(4) });
  const scaled = b("mul", { a: product, b: b("div", { a: factor, b: floats(6) }) });
  const shifted = b("add", { a: b("round", { x: scaled }), b: castTo(b, zeroPoint, "f32") });
  return [saturate(b, shifted, zeroPoint.type.dtype)];
};

export const linearImporters: ImporterTable = {
  Gemm: (context) => [gemm(context)],
  MatMul,
  MatMulInteger,
  QLinearMatMul,
};
