import type { Value } from "../../../ir/graph.ts";
import type { Dim } from "../../../tensor/dim.ts";
import type { DType } from "../../../tensor/dtype.ts";
import { dataTypeName, dtypeOfDataType } from "../data-type.ts";
import type { ImportContext } from "../importer.ts";

/** An axis counted from the front. Reports one outside [-rank, rank). */
export function normalizeAxis(context: ImportContext, axis: number, rank: number): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (normalized < 0 || normalized >= rank)
    context.unsupported(`axis ${axis} is out of range for a tensor of ${rank} dimensions`);
  return normalized;
}

export const normalizeAxes = (
  context: ImportContext,
  axes: readonly number[],
  rank: number,
): readonly number[] => axes.map((axis) => normalizeAxis(context, axis, rank));

/** The axis named by attribute `axis`, counted from the front. */
export const axisAttribute = (context: ImportContext, rank: number, fallback: number): number =>
  normalizeAxis(context, context.int("axis", fallback), rank);

/** The element type that an attribute names by ONNX's number. */
export function dtypeAttribute(context: ImportContext, name: string): DType {
  const number = context.int(name);
  return dtypeOfDataType(number) ?? context.unsupported(`the type ${dataTypeName(number)} is not supported`);
}

/** Whether optional input `index` is given. */
export const has = (context: ImportContext, index: number): boolean => context.optional(index) !== undefined;

/** Whether the node's output `index` is used. */
export const wants = (context: ImportContext, index: number): boolean =>
  (context.node.outputs[index] ?? "") !== "";

/** The elements of an integer input as sizes, symbolic where they follow from symbolic shapes. */
export const sizesInput = (context: ImportContext, index: number): readonly Dim[] =>
  context.input(index).contents ?? context.constantInts(index);

/** Integers that were an attribute before they became input `index`. */
export const intsFrom = (
  context: ImportContext,
  attribute: string,
  index: number,
): readonly number[] | undefined =>
  context.ints(attribute) ?? (has(context, index) ? context.constantInts(index) : undefined);

/** The results that the node names, as far as there are so many; a function is called only if its result is asked for. */
export function wanted(
  context: ImportContext,
  first: Value,
  ...rest: readonly (Value | (() => Value))[]
): readonly Value[] {
  const others = rest.slice(0, context.node.outputs.length - 1).map((result, i) => {
    if (typeof result !== "function") return result;
    return wants(context, i + 1) ? result() : first;
  });
  return [first, ...others];
}
