import type { Builder, Value } from "../../../ir/graph.ts";
import {
  alongAxis,
  castTo,
  literal,
  rangeOf,
  rankOf,
  reshapeTo,
  shapeOf,
  sizeOf,
} from "../../../ir/shorthand.ts";
import { productOf } from "../../../tensor/dim.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { axisAttribute } from "./arguments.ts";

/** Maps an op of one tensor; `f` gives the formula. */
const activation =
  (f: (b: Builder, x: Value, context: ImportContext) => Value): Importer =>
  (context) => [f(context.b, context.input(0), context)];

const scalarLike = (b: Builder, x: Value, value: number): Value => literal(b, x.type.dtype, value);

/** `negative` where x < 0, else `otherwise`. */
const whereNegative = (b: Builder, x: Value, negative: Value, otherwise: Value): Value =>
  b("where", { condition: b("less", { a: x, b: scalarLike(b, x, 0) }), a: negative, b: otherwise });

/** alpha·(eˣ - 1) */
function scaledExpm1(b: Builder, x: Value, alpha: Value): Value {
  return b("mul", { a: alpha, b: b("sub", { a: b("exp", { x }), b: scalarLike(b, x, 1) }) });
}

const Elu = activation((b, x, context) => {
  const alpha = scalarLike(b, x, context.float("alpha", 1));
  return whereNegative(b, x, scaledExpm1(b, x, alpha), x);
});

const Selu = activation((b, x, context) => {
  const alpha = scalarLike(b, x, context.float("alpha", 1.6732631921768188));
  const gamma = scalarLike(b, x, context.float("gamma", 1.0507010221481323));
  return b("mul", { a: gamma, b: whereNegative(b, x, scaledExpm1(b, x, alpha), x) });
});

/** x where x ≥ 0, else alpha·(exp(x/alpha) - 1) */
const Celu = activation((b, x, context) => {
  const alpha = scalarLike(b, x, context.float("alpha", 1));
  return whereNegative(b, x, scaledExpm1(b, b("div", { a: x, b: alpha }), alpha), x);
});

const LeakyRelu = activation((b, x, context) =>
  whereNegative(b, x, b("mul", { a: x, b: scalarLike(b, x, context.float("alpha", 0.01)) }), x),
);

const PRelu: Importer = (context) => {
  const x = context.input(0);
  return [whereNegative(context.b, x, context.b("mul", { a: context.input(1), b: x }), x)];
};

const ThresholdedRelu = activation((b, x, context) => {
  const condition = b("greater", { a: x, b: scalarLike(b, x, context.float("alpha", 1)) });
  return b("where", { condition, a: x, b: scalarLike(b, x, 0) });
});

/** max(0, min(1, alpha·x + beta)) */
function hardSigmoid(b: Builder, x: Value, alpha: number, beta: number): Value {
  const line = b("add", { a: b("mul", { a: x, b: scalarLike(b, x, alpha) }), b: scalarLike(b, x, beta) });
  const capped = b("minimum", { a: line, b: scalarLike(b, x, 1) });
  return b("maximum", { a: capped, b: scalarLike(b, x, 0) });
}

const HardSigmoid = activation((b, x, context) =>
  hardSigmoid(b, x, context.float("alpha", 0.2), context.float("beta", 0.5)),
);

const HardSwish = activation((b, x) => b("mul", { a: x, b: hardSigmoid(b, x, 1 / 6, 0.5) }));

/** log(1 + eˣ) = max(x, 0) + log(1 + exp(-|x|)), which does not overflow. */
function softplus(b: Builder, x: Value): Value {
  const decay = b("exp", { x: b("neg", { x: b("abs", { x }) }) });
  const rest = b("log", { x: b("add", { a: decay, b: scalarLike(b, x, 1) }) });
  return b("add", { a: b("maximum", { a: x, b: scalarLike(b, x, 0) }), b: rest });
}

const Softplus = activation(softplus);

const Softsign = activation((b, x) =>
  b("div", { a: x, b: b("add", { a: b("abs", { x }), b: scalarLike(b, x, 1) }) }),
);

const Mish = activation((b, x) => b("mul", { a: x, b: b("tanh", { x: softplus(b, x) }) }));

/** x·sigmoid(alpha·x) */
export function swish(b: Builder, x: Value, alpha: number): Value {
  if (alpha === 1) return b("nn.silu", { x });
  return b("mul", { a: x, b: b("sigmoid", { x: b("mul", { a: x, b: scalarLike(b, x, alpha) }) }) });
}

const Swish = activation((b, x, context) => swish(b, x, context.float("alpha", 1)));

const SwiGLU: Importer = (context) => {
  const gate = swish(context.b, context.input(0), context.float("alpha", 1));
  return [context.b("mul", { a: gate, b: context.input(1) })];
};

const Gelu = activation((b, x, context) => {
  const approximate = context.string("approximate", "none");
  if (approximate !== "none" && approximate !== "tanh")
    return context.unsupported(`approximate "${approximate}" is not known`);
  return b("nn.gelu", { x }, { approximate });
});

/** x + bias below -lambd, x - bias above lambd, 0 between. */
const Shrink = activation((b, x, context) => {
  const lambd = context.float("lambd", 0.5);
  const bias = scalarLike(b, x, context.float("bias", 0));
  const below = b("less", { a: x, b: scalarLike(b, x, -lambd) });
  const above = b("greater", { a: x, b: scalarLike(b, x, lambd) });
  const shrunk = b("where", { condition: above, a: b("sub", { a: x, b: bias }), b: scalarLike(b, x, 0) });
  return b("where", { condition: below, a: b("add", { a: x, b: bias }), b: shrunk });
});

/**
 * Before opset 13 an op over `axis` (default 1) flattened the tensor to two dimensions there and worked on
 * the rows; since then it works along the one axis (default -1).
 */
const alongRows = (f: (b: Builder, x: Value, axis: number) => Value): Importer =>
  activation((b, x, context) => {
    const rank = rankOf(x);
    if (context.node.opset >= 13) return f(b, x, axisAttribute(context, rank, -1));
    const axis = axisAttribute(context, rank, 1);
    if (axis === rank - 1) return f(b, x, axis);
    const shape = shapeOf(x);
    const rows = reshapeTo(b, x, [productOf(shape.slice(0, axis)), productOf(shape.slice(axis))]);
    return reshapeTo(b, f(b, rows, 1), shape);
  });

const Softmax = alongRows((b, x, axis) => b("softmax", { x }, { axis }));

/** x - max - log Σ exp(x - max) */
const LogSoftmax = alongRows((b, x, axis) => {
  const shifted = b("sub", { a: x, b: b("reduce_max", { x }, { axes: [axis], keepdims: true }) });
  const sum = b("reduce_sum", { x: b("exp", { x: shifted }) }, { axes: [axis], keepdims: true });
  return b("sub", { a: shifted, b: b("log", { x: sum }) });
});

/** 1 at the first maximum, 0 elsewhere. */
const Hardmax = alongRows((b, x, axis) => {
  const maximum = b("argmax", { x }, { axis, keepdims: true, last: false });
  const positions = alongAxis(b, rangeOf(b, 0, sizeOf(x, axis)), axis, rankOf(x));
  return castTo(b, b("equal", { a: positions, b: maximum }), x.type.dtype);
});

export const activationImporters: ImporterTable = {
  Celu,
  Elu,
  Gelu,
  HardSigmoid,
  HardSwish,
  Hardmax,
  LeakyRelu,
  LogSoftmax,
  Mish,
  PRelu,
  Relu: activation((b, x) => b("relu", { x })),
  Selu,
  Shrink,
  Sigmoid: activation((b, x) => b("sigmoid", { x })),
  Softmax,
  Softplus,
  Softsign,
  SwiGLU,
  Swish,
  ThresholdedRelu,
};
