import type { Builder, Value } from "../../../ir/graph.ts";
import {
  alongAxis,
  castTo,
  elementCountOf,
  literal,
  rankOf,
  reshapeTo,
  shapeOf,
  sizeOf,
} from "../../../ir/shorthand.ts";
import { type Dim, floorDivideDims, productOf, sameDim } from "../../../tensor/dim.ts";
import type { DType } from "../../../tensor/dtype.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { axisAttribute, dtypeAttribute, normalizeAxes, wanted, wants } from "./arguments.ts";

const meanOver = (b: Builder, x: Value, axes: readonly number[]): Value =>
  b("reduce_mean", { x }, { axes, keepdims: true });

const square = (b: Builder, x: Value): Value => b("mul", { a: x, b: x });

/** 1/√(x + eps) */
const inverseRoot = (b: Builder, x: Value, eps: number): Value =>
  b("rsqrt", { x: b("add", { a: x, b: literal(b, x.type.dtype, eps) }) });

interface Centred {
  /** x - mean */
  readonly difference: Value;
  readonly mean: Value;
  /** The biased variance, as the mean of the squared differences. */
  readonly variance: Value;
}

function centre(b: Builder, x: Value, axes: readonly number[]): Centred {
  const mean = meanOver(b, x, axes);
  const difference = b("sub", { a: x, b: mean });
  return { difference, mean, variance: meanOver(b, square(b, difference), axes) };
}

/** scale · x + bias in the scale's dtype. */
function affine(b: Builder, x: Value, scale: Value, bias: Value | undefined): Value {
  const scaled = b("mul", { a: castTo(b, x, scale.type.dtype), b: scale });
  return bias === undefined ? scaled : b("add", { a: scaled, b: bias });
}

/** The vector behind a scale or bias that has one element for each of the last axis of x. */
function lastAxisVector(b: Builder, parameter: Value, x: Value): Value | undefined {
  const size = sizeOf(x, -1);
  const isVector =
    rankOf(parameter) > 0 && sameDim(sizeOf(parameter, -1), size) && sameDim(elementCountOf(parameter), size);
  return isVector ? reshapeTo(b, parameter, [size]) : undefined;
}

/** What a norm over the axes from `axis` on works with. */
interface Norm {
  readonly x: Value;
  readonly axes: readonly number[];
  readonly isLastAxis: boolean;
  readonly eps: number;
  /** The type that statistics are computed in. */
  readonly stash: DType;
}

function normOf(context: ImportContext, x: Value, fallbackEps: number): Norm {
  const rank = rankOf(x);
  const axis = axisAttribute(context, rank, -1);
  const stash = context.node.attributes.has("stash_type") ? dtypeAttribute(context, "stash_type") : "f32";
  return {
    x,
    axes: shapeOf(x).flatMap((_, i) => (i >= axis ? [i] : [])),
    isLastAxis: axis === rank - 1,
    eps: context.float("epsilon", fallbackEps),
    stash: x.type.dtype === "f64" ? "f64" : stash,
  };
}

function rmsNorm(b: Builder, { x, axes, isLastAxis, eps, stash }: Norm, scale: Value): Value {
  const vector = isLastAxis ? lastAxisVector(b, scale, x) : undefined;
  if (vector && scale.type.dtype === x.type.dtype) return b("nn.rms_norm", { x, scale: vector }, { eps });
  const wide = castTo(b, x, stash);
  const inverse = inverseRoot(b, meanOver(b, square(b, wide), axes), eps);
  return affine(b, castTo(b, b("mul", { a: wide, b: inverse }), x.type.dtype), scale, undefined);
}

function layerNorm(
  b: Builder,
  { x, axes, isLastAxis, eps, stash }: Norm,
  scale: Value,
  bias: Value | undefined,
): Value {
  const vector = isLastAxis ? lastAxisVector(b, scale, x) : undefined;
  const offset = isLastAxis && bias ? lastAxisVector(b, bias, x) : undefined;
  if (vector && (offset || !bias) && scale.type.dtype === x.type.dtype)
    return b("nn.layer_norm", { x, scale: vector, ...(offset && { bias: offset }) }, { eps });
  const { difference, variance } = centre(b, castTo(b, x, stash), axes);
  const normalized = b("mul", { a: difference, b: inverseRoot(b, variance, eps) });
  return affine(b, castTo(b, normalized, x.type.dtype), scale, bias);
}

/** Results: Y, Mean?, InvStdDev?; the last two are in the stash type. */
const LayerNormalization: Importer = (context) => {
  const { b } = context;
  const norm = normOf(context, context.input(0), 1e-5);
  const y = layerNorm(b, norm, context.input(1), context.optional(2));
  if (!wants(context, 1) && !wants(context, 2)) return [y];
  const { mean, variance } = centre(b, castTo(b, norm.x, norm.stash), norm.axes);
  return wanted(context, y, mean, inverseRoot(b, variance, norm.eps));
};

const inverseRms = (b: Builder, { x, axes, eps, stash }: Norm): Value =>
  inverseRoot(b, meanOver(b, square(b, castTo(b, x, stash)), axes), eps);

/** Results: Y, and for SimplifiedLayerNormalization InvStdDev?. */
const RMSNormalization: Importer = (context) => {
  const norm = normOf(context, context.input(0), 1e-5);
  return wanted(context, rmsNorm(context.b, norm, context.input(1)), () => inverseRms(context.b, norm));
};

/** input + skip; a bias belongs to the linear layer that computed skip. */
function residual(context: ImportContext, biasIndex: number): Value {
  const { b } = context;
  const bias = context.optional(biasIndex);
  const skip = bias === undefined ? context.input(1) : b("add", { a: context.input(1), b: bias });
  return b("add", { a: context.input(0), b: skip });
}

/** Inputs: input, skip, gamma, bias?. Results: the norm of the sum, Mean?, InvStdDev?, the sum?. */
const SkipSimplifiedLayerNormalization: Importer = (context) => {
  const { b } = context;
  const sum = residual(context, 3);
  const norm = normOf(context, sum, 1e-12);
  return wanted(
    context,
    rmsNorm(b, norm, context.input(2)),
    () => meanOver(b, castTo(b, sum, norm.stash), norm.axes),
    () => inverseRms(b, norm),
    sum,
  );
};

/** Inputs: input, skip, gamma, beta?, bias?. Results: the norm of the sum, Mean?, InvStdDev?, the sum?. */
const SkipLayerNormalization: Importer = (context) => {
  const { b } = context;
  const sum = residual(context, 4);
  const norm = normOf(context, sum, 1e-12);
  const centred = () => centre(b, castTo(b, sum, norm.stash), norm.axes);
  return wanted(
    context,
    layerNorm(b, norm, context.input(2), context.optional(3)),
    () => centred().mean,
    () => inverseRoot(b, centred().variance, norm.eps),
    sum,
  );
};

/** (x - mean) / (√(E[x²] - mean²) + 1e-9), over batch and space unless axes are given. */
const MeanVarianceNormalization: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const { difference, variance } = centre(
    b,
    x,
    normalizeAxes(context, context.ints("axes") ?? [0, 2, 3], rankOf(x)),
  );
  const deviation = b("add", { a: b("sqrt", { x: variance }), b: literal(b, x.type.dtype, 1e-9) });
  return [b("div", { a: difference, b: deviation })];
};

/** Normalises each run of channels of x [N, C, …] with its own statistics; scale and bias are applied by `finish`. */
function groupNorm(
  context: ImportContext,
  groups: Dim,
  finish: (b: Builder, grouped: Value, x: Value) => Value,
): Value {
  const { b } = context;
  const x = context.input(0);
  const stash: DType = x.type.dtype === "f64" ? "f64" : "f32";
  const shape = shapeOf(x);
  const grouped = reshapeTo(b, castTo(b, x, stash), [
    shape[0]!,
    groups,
    floorDivideDims(productOf(shape.slice(1)), groups),
  ]);
  const { difference, variance } = centre(b, grouped, [2]);
  const normalized = b("mul", { a: difference, b: inverseRoot(b, variance, context.float("epsilon", 1e-5)) });
  return finish(b, castTo(b, normalized, x.type.dtype), x);
}

const perChannel = (b: Builder, context: ImportContext, y: Value): Value => {
  const rank = rankOf(y);
  return affine(b, y, alongAxis(b, context.input(1), 1, rank), alongAxis(b, context.input(2), 1, rank));
};

const InstanceNormalization: Importer = (context) => [
  groupNorm(context, sizeOf(context.input(0), 1), (b, grouped, x) =>
    perChannel(b, context, reshapeTo(b, grouped, shapeOf(x))),
  ),
];

/** Scale and bias are per group before opset 21, per channel since. */
const GroupNormalization: Importer = (context) => [
  groupNorm(context, context.int("num_groups"), (b, grouped, x) => {
    if (context.node.opset >= 21) return perChannel(b, context, reshapeTo(b, grouped, shapeOf(x)));
    return reshapeTo(b, perChannel(b, context, grouped), shapeOf(x));
  }),
];

/** With the statistics that were learnt: scale · (x - mean) / √(variance + eps) + bias, per channel. */
const BatchNormalization: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  if (context.int("training_mode", 0) === 1) context.unsupported("training mode is not supported");
  const [mean, variance] = [3, 4].map((i) => alongAxis(b, context.input(i), 1, rankOf(x)));
  const inverse = inverseRoot(b, variance!, context.float("epsilon", 1e-5));
  const difference = b("sub", { a: castTo(b, x, mean!.type.dtype), b: mean! });
  const normalized = b("mul", { a: difference, b: inverse });
  return [castTo(b, perChannel(b, context, normalized), x.type.dtype)];
};

/** x divided by its norm of order p along the axis; zeros stay zeros. */
const LpNormalization: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const axes = [axisAttribute(context, rankOf(x), -1)];
  const p = context.int("p", 2);
  if (p !== 1 && p !== 2) context.unsupported(`p ${p} is not known`);
  const terms = p === 1 ? b("abs", { x }) : square(b, x);
  const sum = b("reduce_sum", { x: terms }, { axes, keepdims: true });
  const norm = p === 1 ? sum : b("sqrt", { x: sum });
  const isZero = b("equal", { a: norm, b: literal(b, x.type.dtype, 0) });
  return [b("div", { a: x, b: b("where", { condition: isZero, a: literal(b, x.type.dtype, 1), b: norm }) })];
};

export const normalizationImporters: ImporterTable = {
  BatchNormalization,
  GroupNormalization,
  InstanceNormalization,
  LayerNormalization,
  LpNormalization,
  MeanVarianceNormalization,
  RMSNormalization,
  SimplifiedLayerNormalization: RMSNormalization,
};

export const microsoftNormalizationImporters: ImporterTable = {
  SimplifiedLayerNormalization: RMSNormalization,
  SkipLayerNormalization,
  SkipSimplifiedLayerNormalization,
};
