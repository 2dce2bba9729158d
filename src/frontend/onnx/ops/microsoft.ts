import type { Value } from "../../../ir/graph.ts";
import { rankOf, reshapeTo, shapeOf, transposeLast, transposeTo } from "../../../ir/shorthand.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { swish } from "./activation.ts";
import { normalizeAxis } from "./arguments.ts";
import { generateImporters } from "./generate.ts";
import { indexingImporters } from "./indexing.ts";
import { scaledBy } from "./linear.ts";
import { microsoftAttentionImporters } from "./microsoft-attention.ts";
import { microsoftQuantizedImporters } from "./microsoft-quantized.ts";
import { movementImporters } from "./movement.ts";
import { microsoftNormalizationImporters } from "./normalization.ts";
import { quantizationImporters } from "./quantization.ts";

/** alpha · A · B, each first transposed in its last two axes, or with its first axis moved before the last. */
const FusedMatMul: Importer = (context) => {
  const { b } = context;
  const alpha = context.float("alpha", 1);
  const right = context.input(1);
  const a = arranged(context, context.input(0), "A");
  const isTransposed = context.int("transB", 0) === 1 && context.int("transBatchB", 0) === 0;
  const isLinear = isTransposed && rankOf(right) === 2 && rankOf(a) > 1 && isFloat(a.type.dtype);
  if (isLinear) return [scaledBy(b, b("nn.linear", { x: a, weight: right }), alpha)];
  return [scaledBy(b, b("matmul", { a, b: arranged(context, right, "B") }), alpha)];
};

function arranged(context: ImportContext, x: Value, name: "A" | "B"): Value {
  const { b } = context;
  const axes = shapeOf(x).map((_, axis) => axis);
  const isBatchMoved = context.int(`transBatch${name}`, 0) === 1;
  const moved = isBatchMoved ? transposeTo(b, x, [...axes.slice(1, -1), 0, axes.length - 1]) : x;
  return context.int(`trans${name}`, 0) === 1 && axes.length > 1 ? transposeLast(b, moved) : moved;
}

/** Gelu of x, with the bias in the other input added first if there is one. */
const gelu =
  (approximate: "none" | "tanh"): Importer =>
  (context) => {
    const { b } = context;
    const bias = context.optional(1);
    const x = bias ? b("add", { a: context.input(0), b: bias }) : context.input(0);
    return [b("nn.gelu", { x }, { approximate })];
  };

const QuickGelu: Importer = (context) => [swish(context.b, context.input(0), context.float("alpha", 1.702))];

const ExpandDims: Importer = (context) => {
  const x = context.input(0);
  const axis = normalizeAxis(context, context.constantInts(1)[0]!, rankOf(x) + 1);
  return [reshapeTo(context.b, x, shapeOf(x).toSpliced(axis, 0, 1))];
};

const only = (table: ImporterTable, ...names: readonly string[]): ImporterTable =>
  Object.fromEntries(names.map((name) => [name, table[name]!]));

/** Importers of the domain `com.microsoft` (onnxruntime, docs/ContribOperators.md). */
export const microsoftImporters: ImporterTable = {
  ...microsoftAttentionImporters,
  ...microsoftNormalizationImporters,
  ...microsoftQuantizedImporters,
  ...only(quantizationImporters, "DequantizeLinear", "QuantizeLinear"),
  ...only(indexingImporters, "GatherND"),
  ...only(movementImporters, "Pad", "Trilu"),
  ...only(generateImporters, "Range"),
  BiasGelu: gelu("none"),
  ExpandDims,
  FastGelu: gelu("tanh"),
  FusedMatMul,
  Gelu: gelu("none"),
  QuickGelu,
  TransposeMatMul: FusedMatMul,
};
