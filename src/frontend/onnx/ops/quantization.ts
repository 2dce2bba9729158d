import type { Builder, Value } from "../../../ir/graph.ts";
import {
  alongAxis,
  castTo,
  elementCountOf,
  expandTo,
  literal,
  rankOf,
  reshapeTo,
  shapeOf,
  sizeOf,
  sliceAxis,
} from "../../../ir/shorthand.ts";
import type { WeightRef } from "../../../ir/weights.ts";
import { ceilDivideDims, type Dim, multiplyDims } from "../../../tensor/dim.ts";
import { type DType, integerRange } from "../../../tensor/dtype.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { dtypeAttribute, normalizeAxis, wanted } from "./arguments.ts";
import { dequantizeWeight } from "./block-quantized.ts";

/** How the scales of QuantizeLinear and DequantizeLinear lie over the tensor. */
interface Granularity {
  readonly axis: number;
  /** Elements along the axis that share a scale; 0: one scale for the whole tensor. */
  readonly blockSize: number;
}

function granularityOf(context: ImportContext, x: Value, scale: Value): Granularity {
  if (elementCountOf(scale) === 1 && rankOf(scale) <= 1) return { axis: 0, blockSize: 0 };
  const rank = rankOf(x);
  const axis = rank === 1 ? 0 : normalizeAxis(context, context.int("axis", 1), rank);
  const blockSize = context.int("block_size", 0);
  if (blockSize === 0 && rankOf(scale) !== 1) context.unsupported("scales of this rank need a block_size");
  return { axis, blockSize: blockSize === 0 ? 1 : blockSize };
}

/** Scales or zero points in a shape that broadcasts over x. */
function spread(b: Builder, parameter: Value, x: Value, { axis, blockSize }: Granularity): Value {
  if (blockSize === 0) return reshapeTo(b, parameter, []);
  if (rankOf(parameter) === 1 && blockSize === 1) return alongAxis(b, parameter, axis, rankOf(x));
  const size = sizeOf(x, axis);
  const blocks = ceilDivideDims(size, blockSize);
  const shape = shapeOf(parameter);
  const column = reshapeTo(b, parameter, shape.toSpliced(axis + 1, 0, 1));
  const repeated = expandTo(b, column, shape.toSpliced(axis + 1, 0, blockSize));
  const flat: readonly Dim[] = shape.with(axis, multiplyDims(blocks, blockSize));
  return sliceAxis(b, reshapeTo(b, repeated, flat), axis, 0, size);
}

const weightOf = (value: Value): WeightRef | undefined =>
  value.def.kind === "const" ? value.def.data : undefined;

/** y = (x - zero point) · scale, formed in f32. A large constant stays in its file until it is read. */
const DequantizeLinear: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const scale = context.input(1);
  const zeroPoint = context.optional(2);
  const to = outputDType(context) ?? scale.type.dtype;
  const granularity = granularityOf(context, x, scale);
  const [codes, scales, zeros] = [weightOf(x), weightOf(scale), zeroPoint ? weightOf(zeroPoint) : 0];
  if (codes && !codes.inline && scales && zeros !== undefined) {
    const blockSize = granularity.blockSize === 0 ? 1 : granularity.blockSize;
    return [
      b.constant(dequantizeWeight({ codes, scales, zeroPoints: zeros, ...granularity, blockSize }, to)),
    ];
  }
  const spreadOut = (parameter: Value): Value => spread(b, castTo(b, parameter, "f32"), x, granularity);
  const floats = castTo(b, x, "f32");
  const centred = zeroPoint ? b("sub", { a: floats, b: spreadOut(zeroPoint) }) : floats;
  return [castTo(b, b("mul", { a: centred, b: spreadOut(scale) }), to)];
};

function outputDType(context: ImportContext): DType | undefined {
  return context.int("output_dtype", 0) === 0 ? undefined : dtypeAttribute(context, "output_dtype");
}

/** Clamps to what the integer type holds, and converts. */
export function saturate(b: Builder, x: Value, to: DType): Value {
  const [low, high] = integerRange(to)!;
  const raised = b("maximum", { a: x, b: literal(b, x.type.dtype, low) });
  return castTo(b, b("minimum", { a: raised, b: literal(b, x.type.dtype, high) }), to);
}

/** saturate(round_half_even(x / scale) + zero point); the division is in the scale's type unless the node says otherwise. */
const QuantizeLinear: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const scale = context.input(1);
  const zeroPoint = context.optional(2);
  const to = zeroPoint?.type.dtype ?? outputDType(context) ?? "u8";
  if (integerRange(to) === undefined) context.unsupported(`quantising to ${to} is not supported`);
  const precision =
    context.int("precision", 0) === 0 ? scale.type.dtype : dtypeAttribute(context, "precision");
  const granularity = granularityOf(context, x, scale);
  const divisor = spread(b, castTo(b, scale, precision), x, granularity);
  const rounded = b("round", { x: b("div", { a: castTo(b, x, precision), b: divisor }) });
  const steps = castTo(b, rounded, "f32");
  if (!zeroPoint) return [saturate(b, steps, to)];
  const offset = spread(b, castTo(b, zeroPoint, "f32"), x, granularity);
  return [saturate(b, b("add", { a: steps, b: offset }), to)];
};

interface DynamicallyQuantized {
  /** u8 */
  readonly codes: Value;
  /** f32 [] */
  readonly scale: Value;
  /** u8 [] */
  readonly zeroPoint: Value;
}

/** Asymmetric u8 over the range of the whole tensor and 0. A tensor of zeros has scale 1. */
export function dynamicallyQuantized(b: Builder, x: Value): DynamicallyQuantized {
  const axes = shapeOf(x).map((_, axis) => axis);
  const zero = literal(b, "f32", 0);
  const low = b("minimum", { a: b("reduce_min", { x }, { axes, keepdims: false }), b: zero });
  const high = b("maximum", { a: b("reduce_max", { x }, { axes, keepdims: false }), b: zero });
  const range = b("sub", { a: high, b: low });
  const scale = b("where", {
    condition: b("equal", { a: range, b: zero }),
    a: literal(b, "f32", 1),
    b: b("div", { a: range, b: literal(b, "f32", 255) }),
  });
  const offset = b("round", { x: b("div", { a: b("neg", { x: low }), b: scale }) });
  const zeroPoint = saturate(b, offset, "u8");
  const steps = b("round", { x: b("div", { a: x, b: scale }) });
  const codes = saturate(b, b("add", { a: steps, b: castTo(b, zeroPoint, "f32") }), "u8");
  return { codes, scale, zeroPoint };
}

const DynamicQuantizeLinear: Importer = (context) => {
  const { codes, scale, zeroPoint } = dynamicallyQuantized(context.b, context.input(0));
  return wanted(context, codes, scale, zeroPoint);
};

export const quantizationImporters: ImporterTable = {
  DequantizeLinear,
  DynamicQuantizeLinear,
  QuantizeLinear,
};
