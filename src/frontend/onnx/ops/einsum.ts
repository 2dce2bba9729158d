import type { Builder, Value } from "../../../ir/graph.ts";
import {
  alongAxis,
  expandTo,
  literal,
  rangeOf,
  rankOf,
  reshapeTo,
  sizeOf,
  transposeTo,
} from "../../../ir/shorthand.ts";
import { type Dim, productOf } from "../../../tensor/dim.ts";
import type { ImportContext, Importer } from "../importer.ts";

/** A tensor whose axes have names: a letter of the equation, or `.0`, `.1`, … for those an ellipsis stands for. */
interface Term {
  readonly value: Value;
  readonly labels: readonly string[];
}

/**
 * Einstein summation: operands are contracted from left to right, each pair as one (batched) matrix product,
 * or as an elementwise product where nothing is summed.
 */
export const Einsum: Importer = (context) => {
  const { b, node } = context;
  const { inputs, output } = parseEquation(context);
  const terms = node.inputs.map((_, i) => diagonal(b, { value: context.input(i), labels: inputs[i]! }));
  const [first, ...rest] = terms;
  const result = rest.reduce((left, right, i) => {
    const needed = new Set([...output, ...rest.slice(i + 1).flatMap((term) => term.labels)]);
    return contract(b, left, right, needed);
  }, first!);
  return [arrange(b, sumOut(b, result, new Set(output)), output).value];
};

/** Labels of the operands and of the result. Without an arrow the result has the labels that occur once, sorted. */
function parseEquation(context: ImportContext): {
  inputs: readonly (readonly string[])[];
  output: readonly string[];
} {
  const equation = context.string("equation").replace(/\s/g, "");
  const [left, right] = equation.split("->");
  const operands = left!.split(",");
  if (operands.length !== context.node.inputs.length)
    context.unsupported(`equation "${equation}" does not fit ${context.node.inputs.length} inputs`);
  const inputs = operands.map((text, i) => labelsOf(text, rankOf(context.input(i)) - letters(text).length));
  inputs.forEach((labels, i) => {
    if (labels.length !== rankOf(context.input(i)))
      context.unsupported(`"${operands[i]}" in equation "${equation}" does not fit the rank of input ${i}`);
  });
  const ellipsis = Math.max(
    0,
    ...inputs.map((labels) => labels.filter((label) => label.startsWith(".")).length),
  );
  const all = inputs.flat();
  const once = [...new Set(all)].filter(
    (label) => label.length === 1 && all.indexOf(label) === all.lastIndexOf(label),
  );
  return { inputs, output: labelsOf(right ?? `...${once.sort().join("")}`, ellipsis) };
}

const letters = (text: string): readonly string[] => [...text.replace("...", "")];

/** Axes of an ellipsis are counted from the right, as they broadcast. */
const labelsOf = (text: string, ellipsis: number): readonly string[] =>
  (text.match(/\.\.\.|[A-Za-z]/g) ?? []).flatMap((token) =>
    token === "..."
      ? Array.from({ length: Math.max(0, ellipsis) }, (_, i) => `.${ellipsis - 1 - i}`)
      : [token],
  );

/** Keeps the diagonal of axes that share a label. */
function diagonal(b: Builder, term: Term): Term {
  const { value, labels } = term;
  const second = labels.findIndex((label, i) => labels.indexOf(label) < i);
  if (second < 0) return term;
  const first = labels.indexOf(labels[second]!);
  const position = (axis: number): Value =>
    alongAxis(b, rangeOf(b, 0, sizeOf(value, axis)), axis, labels.length);
  const condition = b("equal", { a: position(first), b: position(second) });
  const kept = b("where", { condition, a: value, b: literal(b, value.type.dtype, 0) });
  const summed = b("reduce_sum", { x: kept }, { axes: [second], keepdims: false });
  return diagonal(b, { value: summed, labels: labels.toSpliced(second, 1) });
}

/** Sums over the axes whose labels nothing needs. */
function sumOut(b: Builder, { value, labels }: Term, needed: ReadonlySet<string>): Term {
  const axes = labels.flatMap((label, axis) => (needed.has(label) ? [] : [axis]));
  if (axes.length === 0) return { value, labels };
  return {
    value: b("reduce_sum", { x: value }, { axes, keepdims: false }),
    labels: labels.filter((label) => needed.has(label)),
  };
}

/** Axes in the order of `labels`; those that the term lacks have size 1. */
function arrange(b: Builder, term: Term, labels: readonly string[]): Term {
  const present = labels.filter((label) => term.labels.includes(label));
  const moved = transposeTo(
    b,
    term.value,
    present.map((label) => term.labels.indexOf(label)),
  );
  const shape = labels.map((label) => sizeIn(term, label));
  return { value: reshapeTo(b, moved, shape), labels };
}

const sizeIn = ({ value, labels }: Term, label: string): Dim =>
  labels.includes(label) ? sizeOf(value, labels.indexOf(label)) : 1;

function contract(b: Builder, leftTerm: Term, rightTerm: Term, needed: ReadonlySet<string>): Term {
  const left = sumOut(b, leftTerm, new Set([...needed, ...rightTerm.labels]));
  const right = sumOut(b, rightTerm, new Set([...needed, ...leftTerm.labels]));
  const shared = left.labels.filter((label) => right.labels.includes(label));
  const batch = shared.filter((label) => needed.has(label));
  const summed = shared.filter((label) => !needed.has(label));
  const leftFree = left.labels.filter((label) => !shared.includes(label));
  const rightFree = right.labels.filter((label) => !shared.includes(label));
  const labels = [...batch, ...leftFree, ...rightFree];
  if (summed.length === 0) {
    const value = b("mul", { a: arrange(b, left, labels).value, b: arrange(b, right, labels).value });
    return { value, labels };
  }
  const sizes = (term: Term, group: readonly string[]): readonly Dim[] =>
    group.map((label) => sizeIn(term, label));
  const summedSizes = summed.map((label) =>
    sizeIn(left, label) === 1 ? sizeIn(right, label) : sizeIn(left, label),
  );
  const k = productOf(summedSizes);
  const a = stretch(b, arrange(b, left, [...batch, ...leftFree, ...summed]).value, summedSizes, "last");
  const c = stretch(
    b,
    arrange(b, right, [...batch, ...summed, ...rightFree]).value,
    summedSizes,
    batch.length,
  );
  const product = b("matmul", {
    a: reshapeTo(b, a, [...sizes(left, batch), productOf(sizes(left, leftFree)), k]),
    b: reshapeTo(b, c, [...sizes(right, batch), k, productOf(sizes(right, rightFree))]),
  });
  const batchSizes = product.type.shape.slice(0, batch.length);
  return {
    value: reshapeTo(b, product, [...batchSizes, ...sizes(left, leftFree), ...sizes(right, rightFree)]),
    labels,
  };
}

/** Stretches summed axes, which lie together from `at` on, from 1 to their common size. */
function stretch(b: Builder, value: Value, sizes: readonly Dim[], at: number | "last"): Value {
  const from = at === "last" ? rankOf(value) - sizes.length : at;
  return expandTo(b, value, value.type.shape.toSpliced(from, sizes.length, ...sizes));
}
