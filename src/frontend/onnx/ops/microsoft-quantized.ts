import type { Value } from "../../../ir/graph.ts";
import { castTo, reshapeTo } from "../../../ir/shorthand.ts";
import { reshapeWeight, type WeightRef } from "../../../ir/weights.ts";
import { elementCount } from "../../../tensor/tensor.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { normalizeAxis } from "./arguments.ts";
import { asRows, dequantizeWeight, unpackCodes } from "./block-quantized.ts";
import { integerProduct } from "./linear.ts";
import { dynamicallyQuantized } from "./quantization.ts";

function constantInput(context: ImportContext, index: number): WeightRef {
  const { def } = context.input(index);
  return def.kind === "const" ? def.data : context.unsupported(`input ${index} must be a constant`);
}

const optionalConstant = (context: ImportContext, index: number): WeightRef | undefined =>
  context.optional(index) && constantInput(context, index);

function bitsAttribute(context: ImportContext): number {
  const bits = context.int("bits", 4);
  return bits === 2 || bits === 4 || bits === 8
    ? bits
    : context.unsupported(`codes of ${bits} bits are not supported`);
}

/**
 * A [..., K], B u8 [N, blocks, bytes], scales [N, blocks], zero_points?, g_idx? (i32 [K]: the block of each column),
 * bias? [N]. The weight becomes f32 [N, K], computed from B when it is read. Zero points are packed as B is, or
 * floats; without them the middle code is zero. `accuracy_level` allows lower precision, which is not made use of.
 */
const MatMulNBits: Importer = (context) => {
  const { b } = context;
  const [n, k, blockSize, bits] = [
    context.int("N"),
    context.int("K"),
    context.int("block_size"),
    bitsAttribute(context),
  ];
  if (context.int("weight_prepacked", 0) !== 0)
    context.unsupported("a weight in the layout of one GPU is not supported");
  const blocks = Math.ceil(k / blockSize);
  const packedZeros = optionalConstant(context, 3);
  const blockOf = optionalConstant(context, 4);
  const weight = dequantizeWeight(
    {
      codes: unpackCodes(asRows(constantInput(context, 1), n), bits, k),
      scales: asRows(constantInput(context, 2), n),
      zeroPoints: packedZeros ? zeroPointRows(packedZeros, n, blocks, bits) : 2 ** (bits - 1),
      axis: 1,
      blockSize,
      ...(blockOf && { blockOf }),
    },
    "f32",
  );
  const bias = context.optional(5);
  return [b("nn.linear", { x: context.input(0), weight: b.constant(weight), ...(bias && { bias }) })];
};

function zeroPointRows(zeroPoints: WeightRef, rows: number, blocks: number, bits: number): WeightRef {
  const matrix = asRows(zeroPoints, rows);
  return zeroPoints.dtype === "u8" ? unpackCodes(matrix, bits, blocks) : matrix;
}

/** u8 codes packed along the last axis, one to an element. */
function unpackLast(packed: WeightRef, bits: number, shape: readonly number[]): WeightRef {
  const rows = elementCount(shape.slice(0, -1));
  return reshapeWeight(unpackCodes(asRows(packed, rows), bits, shape.at(-1)!), shape);
}

/**
 * data, indices, scales, zero_points?: rows of a table that is quantised in blocks along `quantize_axis`. u8 data
 * holds codes of `bits` bits, and their middle is zero; i4 and u4 data hold one code an element, and 0 is zero.
 */
const GatherBlockQuantized: Importer = (context) => {
  const { b } = context;
  const data = constantInput(context, 0);
  const scales = constantInput(context, 2);
  const zeros = optionalConstant(context, 3);
  const isPacked = data.dtype === "u8";
  const bits = isPacked ? bitsAttribute(context) : 8;
  const rank = data.shape.length;
  const codes = isPacked
    ? unpackLast(data, bits, data.shape.with(-1, data.shape.at(-1)! * (8 / bits)))
    : data;
  const zeroPoints = isPacked ? zeros && unpackLast(zeros, bits, scales.shape) : zeros;
  const table = dequantizeWeight(
    {
      codes,
      scales,
      zeroPoints: zeroPoints ?? (isPacked ? 2 ** (bits - 1) : 0),
      axis: normalizeAxis(context, context.int("quantize_axis", 1), rank),
      blockSize: context.int("block_size", 128),
    },
    "f32",
  );
  const axis = normalizeAxis(context, context.int("gather_axis", 0), rank);
  const rows = b("gather", { x: b.constant(table), indices: castTo(b, context.input(1), "i64") }, { axis });
  return [castTo(b, rows, scales.dtype)];
};

function withBias(context: ImportContext, y: Value, index: number): Value {
  const bias = context.optional(index);
  return bias ? context.b("add", { a: y, b: bias }) : y;
}

/** A, B, their scales, zero points?, bias?: (A - zero) · (B - zero) · scales + bias in float. */
const MatMulIntegerToFloat: Importer = (context) => {
  const { b } = context;
  const scales = b("mul", { a: context.input(2), b: context.input(3) });
  const product = integerProduct(
    b,
    context.input(0),
    context.input(1),
    context.optional(4),
    context.optional(5),
  );
  return [withBias(context, b("mul", { a: castTo(b, product, scales.type.dtype), b: scales }), 6)];
};

/** A float, B integers, its scale, zero point?, bias?: A is quantised to u8 over its own range. */
const DynamicQuantizeMatMul: Importer = (context) => {
  const { b } = context;
  const { codes, scale, zeroPoint } = dynamicallyQuantized(b, context.input(0));
  const product = integerProduct(
    b,
    codes,
    context.input(1),
    reshapeTo(b, zeroPoint, []),
    context.optional(3),
  );
  const scales = b("mul", { a: scale, b: context.input(2) });
  return [withBias(context, b("mul", { a: castTo(b, product, "f32"), b: scales }), 4)];
};

export const microsoftQuantizedImporters: ImporterTable = {
  DynamicQuantizeMatMul,
  GatherBlockQuantized,
  MatMulIntegerToFloat,
  MatMulNBits,
};
