import type { Dim } from "../../tensor/dim.ts";
import { isFloat, isInteger } from "../../tensor/dtype.ts";
import { type ArgInfo, InferenceError } from "./op.ts";
import { formatShape, unifyDims } from "./shapes.ts";

type NamedArgs = Readonly<Record<string, ArgInfo | undefined>>;

/** @throws InferenceError naming the first argument that is not a float; those left out are skipped */
export function requireFloats(args: NamedArgs): void {
  for (const [name, arg] of Object.entries(args))
    if (arg !== undefined && !isFloat(arg.type.dtype))
      throw new InferenceError(`${name} must be a float, and is ${arg.type.dtype}`);
}

/** @throws InferenceError when an argument is not an integer tensor */
export function requireInteger(arg: ArgInfo, name: string): void {
  if (!isInteger(arg.type.dtype))
    throw new InferenceError(`${name} must be an integer, and is ${arg.type.dtype}`);
}

/** @throws InferenceError when an argument's shape has not as many axes as `axes` names */
export function requireRank(arg: ArgInfo, name: string, axes: readonly string[]): void {
  if (arg.type.shape.length !== axes.length)
    throw new InferenceError(
      `${name} must have the shape [${axes.join(", ")}], and has ${formatShape(arg.type.shape)}`,
    );
}

/** The last axis. @throws InferenceError when there is none */
export function lastDim(arg: ArgInfo, name: string): Dim {
  const size = arg.type.shape[arg.type.shape.length - 1];
  if (size === undefined) throw new InferenceError(`${name} must have an axis at least`);
  return size;
}

/** The one size that all of these are. @throws InferenceError when two of them certainly differ */
export function requireSameSize(sizes: Readonly<Record<string, Dim>>): Dim {
  const [[firstName, first], ...rest] = Object.entries(sizes) as [[string, Dim], ...[string, Dim][]];
  let known = first;
  for (const [name, size] of rest) {
    const unified = unifyDims(known, size);
    if (unified === undefined)
      throw new InferenceError(
        `${firstName} is ${formatShape([known])} and ${name} is ${formatShape([size])}, which must be one size`,
      );
    known = unified;
  }
  return known;
}

/** @throws InferenceError unless the argument is a vector of the given size */
export function requireVector(arg: ArgInfo | undefined, name: string, of: string, size: Dim): void {
  if (arg === undefined) return;
  requireRank(arg, name, [of]);
  requireSameSize({ [of]: size, [`the size of ${name}`]: arg.type.shape[0]! });
}

/** A position in the sequence: i64 [1]. @throws InferenceError when it is anything else */
export function requirePosition(arg: ArgInfo | undefined, name: string): void {
  if (arg === undefined) return;
  if (arg.type.dtype !== "i64" || arg.type.shape.length !== 1)
    throw new InferenceError(
      `${name} must be i64[1], and is ${arg.type.dtype}${formatShape(arg.type.shape)}`,
    );
  requireVector(arg, name, "1", 1);
}

/**
 * @param scale of each row of a matrix of int8 codes; a matrix without one holds floats
 * @throws InferenceError when the two do not fit together
 */
export function requireRowScale(
  matrix: ArgInfo,
  name: string,
  scale: ArgInfo | undefined,
  rows: string,
): void {
  if (scale === undefined) {
    requireFloats({ [name]: matrix });
    return;
  }
  if (matrix.type.dtype !== "i8")
    throw new InferenceError(`${name} must be i8 where there is a scale, and is ${matrix.type.dtype}`);
  if (scale.type.dtype !== "f32") throw new InferenceError(`scale must be f32, and is ${scale.type.dtype}`);
  requireVector(scale, "scale", rows, matrix.type.shape[0]!);
}
