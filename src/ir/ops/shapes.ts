import {
  addDims,
  areDifferent,
  ceilDivideDims,
  type Dim,
  dimKey,
  floorDivideDims,
  isAtLeast,
  isSymbolic,
  maxDims,
  maxOf,
  minDims,
  minOf,
  multiplyDims,
  productOf,
  sameDim,
  subtractDims,
} from "../../tensor/dim.ts";
import { type ArgInfo, InferenceError, UnknownElementsError } from "./op.ts";

export const formatShape = (shape: readonly Dim[]): string => `[${shape.map(dimKey).join(", ")}]`;

/** Counts a negative axis from the end. @throws InferenceError when there is no such axis */
export function normalizeAxis(axis: number, rank: number): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= rank)
    throw new InferenceError(`there is no axis ${axis} in a tensor of rank ${rank}`);
  return normalized;
}

/** @throws InferenceError when an axis does not exist or comes twice */
export function normalizeAxes(axes: readonly number[], rank: number): number[] {
  const normalized = axes.map((axis) => normalizeAxis(axis, rank));
  if (new Set(normalized).size < normalized.length)
    throw new InferenceError(`axes [${axes.join(", ")}] name one axis twice`);
  return normalized;
}

/** @throws InferenceError when the dtypes of the arguments differ */
export function requireSameDType(args: Readonly<Record<string, ArgInfo>>): void {
  const [first, ...rest] = Object.entries(args);
  for (const [name, { type }] of rest)
    if (type.dtype !== first![1].type.dtype)
      throw new InferenceError(
        `${first![0]} is ${first![1].type.dtype} and ${name} is ${type.dtype}, which must be one dtype`,
      );
}

/** The elements of a shape operand. @throws InferenceError when they are not known */
export function knownContents(operand: ArgInfo, name: string): readonly Dim[] {
  if (operand.contents === undefined)
    throw new UnknownElementsError(`needs ${name} to be known at compile time`, operand);
  return operand.contents;
}

/**
 * The size of an axis that two tensors share. Sizes that may be equal are taken to be: of a number and a symbol
 * the number, of two expressions the simpler one.
 * @returns undefined when the sizes are certainly different
 */
export function unifyDims(a: Dim, b: Dim): Dim | undefined {
  if (sameDim(a, b)) return a;
  if (areDifferent(a, b)) return undefined;
  if (!isSymbolic(a)) return a;
  if (!isSymbolic(b)) return b;
  return complexity(b) < complexity(a) ? b : a;
}

/** An opaque function weighs more than any polynomial that occurs. */
function complexity(dim: Dim): number {
  if (!isSymbolic(dim)) return 0;
  const atoms = dim.terms.flatMap((term) => term.atoms);
  const opaque = atoms.filter((atom) => atom.kind !== "symbol").length;
  return opaque * 1000 + atoms.length * 2 + (dim.constant === 0 ? 0 : 1);
}

/** The size that two axes broadcast to. @throws InferenceError when they certainly do not */
export function broadcastDims(a: Dim, b: Dim): Dim {
  if (a === 1) return b;
  if (b === 1) return a;
  const size = unifyDims(a, b);
  if (size !== undefined) return size;
  // Certainly different sizes still broadcast if one of them can be 1 when the program runs.
  if (!areDifferent(b, 1)) return a;
  if (!areDifferent(a, 1)) return b;
  throw new InferenceError(`sizes ${dimKey(a)} and ${dimKey(b)} do not broadcast`);
}

/** NumPy's broadcasting of symbolic shapes. @throws InferenceError when they certainly do not broadcast */
export function broadcastShapes(...shapes: readonly (readonly Dim[])[]): Dim[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<Dim>(rank).fill(1);
  for (const shape of shapes) {
    shape.forEach((size, i) => {
      const at = rank - shape.length + i;
      try {
        result[at] = broadcastDims(result[at]!, size);
      } catch (error) {
        if (!(error instanceof InferenceError)) throw error;
        throw new InferenceError(`shapes ${shapes.map(formatShape).join(" and ")} do not broadcast`);
      }
    });
  }
  return result;
}

/**
 * The shape that `target` asks for; its one -1 stands for whatever is left of the elements.
 * @throws InferenceError when the number of elements is certainly another
 */
export function reshapedShape(shape: readonly Dim[], target: readonly Dim[]): readonly Dim[] {
  const fail = () => new InferenceError(`${formatShape(shape)} has no shape ${formatShape(target)}`);
  const inferredAt = target.indexOf(-1);
  const asked = target.filter((_, i) => i !== inferredAt);
  if (asked.some((size) => maxOf(size) < 0)) throw fail();
  // Equal sizes on both sides are struck out first, so that what remains divides without an opaque function.
  const left = [...shape];
  const right = asked.filter((size) => {
    const at = size === 0 ? -1 : left.findIndex((candidate) => sameDim(candidate, size));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  const available = productOf(left);
  const wanted = productOf(right);
  if (inferredAt < 0) {
    if (areDifferent(available, wanted)) throw fail();
    return target;
  }
  const inferred = floorDivideDims(available, wanted);
  if (areDifferent(multiplyDims(inferred, wanted), available)) throw fail();
  return target.with(inferredAt, inferred);
}

/**
 * The number of elements that NumPy's `[start:end:step]` takes of an axis. A negative bound counts from the end, and
 * one beyond the axis stops at its edge; a symbolic bound of unknown sign counts from the start.
 */
export function sliceLength(size: Dim, start: Dim, end: Dim, step: number): Dim {
  if (!Number.isInteger(step) || step === 0) throw new InferenceError(`a slice has no step ${step}`);
  const isFromEnd = (bound: Dim) => minOf(bound) < 0 && maxOf(bound) <= 0;
  const fromStart = (bound: Dim) => (isFromEnd(bound) ? addDims(size, bound) : bound);
  if (step < 0) {
    const last = subtractDims(size, 1);
    const from = minDims(fromStart(start), last);
    const to = maxDims(minDims(fromStart(end), last), -1);
    return maxDims(ceilDivideDims(subtractDims(from, to), -step), 0);
  }
  return ceilDivideDims(forwardLength(), step);

  // Three forms of max(0, min(to, size) - min(from, size)), each the simplest where it holds.
  function forwardLength(): Dim {
    const from = maxDims(fromStart(start), 0);
    const to = maxDims(fromStart(end), 0);
    if (isAtLeast(to, size)) {
      const tail = multiplyDims(start, -1);
      return isFromEnd(start) ? minDims(tail, size) : maxDims(subtractDims(size, from), 0);
    }
    if (from === 0) return minDims(to, size);
    return maxDims(subtractDims(minDims(to, size), minDims(from, size)), 0);
  }
}
