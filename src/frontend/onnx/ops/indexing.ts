import type { Builder, Value } from "../../../ir/graph.ts";
import {
  alongAxis,
  castTo,
  elementCountOf,
  expandTo,
  rangeOf,
  rankOf,
  reshapeTo,
  shapeOf,
  sizeOf,
} from "../../../ir/shorthand.ts";
import type { ImportContext, Importer, ImporterTable } from "../importer.ts";
import { axisAttribute, has, normalizeAxis } from "./arguments.ts";

const indicesInput = (context: ImportContext): Value => castTo(context.b, context.input(1), "i64");

const Gather: Importer = (context) => {
  const x = context.input(0);
  return [
    context.b(
      "gather",
      { x, indices: indicesInput(context) },
      { axis: axisAttribute(context, rankOf(x), 0) },
    ),
  ];
};

const GatherElements: Importer = (context) => {
  const x = context.input(0);
  const axis = axisAttribute(context, rankOf(x), 0);
  return [context.b("gather_elements", { x, indices: indicesInput(context) }, { axis })];
};

const GatherND: Importer = (context) => [
  context.b(
    "gather_nd",
    { x: context.input(0), indices: indicesInput(context) },
    { batch_dims: context.int("batch_dims", 0) },
  ),
];

const reductions = ["none", "add", "mul", "min", "max"] as const;

function reductionAttribute(context: ImportContext): (typeof reductions)[number] {
  const name = context.string("reduction", "none");
  return (
    reductions.find((known) => known === name) ?? context.unsupported(`reduction "${name}" is not known`)
  );
}

const ScatterElements: Importer = (context) => {
  const x = context.input(0);
  const attrs = { axis: axisAttribute(context, rankOf(x), 0), reduction: reductionAttribute(context) };
  return [
    context.b("scatter_elements", { x, indices: indicesInput(context), updates: context.input(2) }, attrs),
  ];
};

const ScatterND: Importer = (context) => {
  const args = { x: context.input(0), indices: indicesInput(context), updates: context.input(2) };
  return [context.b("scatter_nd", args, { reduction: reductionAttribute(context) })];
};

/** A symbol for the number of nonzero elements: unlike any other, as names of values are. */
const countSymbol = ({ node }: ImportContext): string =>
  `count_${node.outputs[0]!.replace(/\W/g, (character) => `_${character.codePointAt(0)!.toString(16)}_`)}`;

const NonZero: Importer = (context) => [
  context.b("nonzero", { x: context.input(0) }, { size: countSymbol(context) }),
];

/** Keeps the slices of one axis (or the elements, without `axis`) for which the condition holds. */
const Compress: Importer = (context) => {
  const { b, node } = context;
  const given = context.input(0);
  const isFlat = !node.attributes.has("axis");
  const x = isFlat ? reshapeTo(b, given, [elementCountOf(given)]) : given;
  const axis = isFlat ? 0 : normalizeAxis(context, context.int("axis"), rankOf(x));
  const found = b("nonzero", { x: context.input(1) }, { size: countSymbol(context) });
  const indices = b("gather", { x: found, indices: b.dims(0) }, { axis: 0 });
  return [b("gather", { x, indices }, { axis })];
};

/** Writes `update` [B, …, S, …] into `past_cache` [B, …, M, …] along `axis`, from each batch's write index. */
const TensorScatter: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const updates = context.input(1);
  const rank = rankOf(x);
  const axis = axisAttribute(context, rank, -2);
  const mode = context.string("mode", "linear");
  if (mode !== "linear" && mode !== "circular") context.unsupported(`mode "${mode}" is not known`);
  const steps = alongAxis(b, rangeOf(b, 0, sizeOf(updates, axis)), axis, rank);
  const positions = has(context, 2)
    ? fromWriteIndex(b, steps, castTo(b, context.input(2), "i64"), rank)
    : steps;
  const wrapped = mode === "circular" ? b("mod", { a: positions, b: b.dims(sizeOf(x, axis)) }) : positions;
  const indices = expandTo(b, wrapped, shapeOf(updates));
  return [b("scatter_elements", { x, indices, updates }, { axis, reduction: "none" })];
};

const fromWriteIndex = (b: Builder, steps: Value, writeIndices: Value, rank: number): Value =>
  b("add", { a: alongAxis(b, writeIndices, 0, rank), b: steps });

export const indexingImporters: ImporterTable = {
  Compress,
  Gather,
  GatherElements,
  GatherND,
  NonZero,
  Scatter: ScatterElements,
  ScatterElements,
  ScatterND,
  TensorScatter,
};
