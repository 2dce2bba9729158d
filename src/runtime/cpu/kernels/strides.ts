import type { TensorData } from "../../../tensor/tensor.ts";

/** Elements between neighbours along each axis of a dense row-major tensor. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, stride = 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** Counts a negative axis from the end; inference has checked that the axis exists. */
export const fromStart = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Sizes before, at and after an axis: a dense tensor as [outer, size, inner]. */
export function splitAtAxis(shape: readonly number[], axis: number) {
  const at = fromStart(axis, shape.length);
  let outer = 1;
  for (let i = 0; i < at; i++) outer *= shape[i]!;
  let inner = 1;
  for (let i = at + 1; i < shape.length; i++) inner *= shape[i]!;
  return { outer, size: shape[at] ?? 1, inner };
}

/**
 * Calls `visit` for each line of elements along an axis, with its number and where its first one is; they are `inner`
 * apart.
 */
export function forEachLine(
  { outer, size, inner }: ReturnType<typeof splitAtAxis>,
  visit: (first: number, line: number) => void,
): void {
  for (let i = 0, line = 0; i < outer; i++)
    for (let j = 0; j < inner; j++) visit(i * size * inner + j, line++);
}

/** A walk in row-major order over one or more memories at once: in runs along its last axis. */
export interface Walk {
  /** It has one axis at least. */
  readonly sizes: readonly number[];
  /** For each memory, the elements between neighbours along each axis. */
  readonly strides: readonly (readonly number[])[];
  /** Elements of a run. */
  readonly run: number;
  /** For each memory, the elements between neighbours of a run. */
  readonly steps: readonly number[];
}

/** Drops axes of one element and joins neighbouring axes wherever a single stride serves both. */
export function collapse(sizes: readonly number[], strides: readonly (readonly number[])[]): Walk {
  const keptSizes: number[] = [];
  const keptStrides: number[][] = strides.map(() => []);
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const size = sizes[axis]!;
    if (size === 1) continue;
    const isJoined =
      keptSizes.length > 0 &&
      strides.every((stride, k) => stride[axis] === keptStrides[k]![0]! * keptSizes[0]!);
    if (isJoined) {
      keptSizes[0]! *= size;
    } else {
      keptSizes.unshift(size);
      strides.forEach((stride, k) => {
        keptStrides[k]!.unshift(stride[axis]!);
      });
    }
  }
  if (keptSizes.length === 0) {
    keptSizes.push(1);
    for (const kept of keptStrides) kept.push(0);
  }
  const steps = keptStrides.map((kept) => kept.at(-1)!);
  return { sizes: keptSizes, strides: keptStrides, run: keptSizes.at(-1)!, steps };
}

/**
 * Calls `visit` for each run along the last axis of a walk, with the run's number and the offset into each
 * memory. The array of offsets is the same each time.
 */
export function forEachRow(walk: Walk, visit: (row: number, offsets: readonly number[]) => void): void {
  const { sizes, strides } = walk;
  const outerAxes = sizes.length - 1;
  const index = new Array<number>(outerAxes).fill(0);
  const offsets = new Array<number>(strides.length).fill(0);
  let rows = 1;
  for (let axis = 0; axis < outerAxes; axis++) rows *= sizes[axis]!;
  for (let row = 0; row < rows; row++) {
    visit(row, offsets);
    for (let axis = outerAxes - 1; axis >= 0; axis--) {
      const isCarried = ++index[axis]! === sizes[axis]!;
      const steps = isCarried ? 1 - sizes[axis]! : 1;
      for (let k = 0; k < offsets.length; k++) offsets[k]! += steps * strides[k]![axis]!;
      if (!isCarried) break;
      index[axis] = 0;
    }
  }
}

/** Below this many elements a loop beats the set-up of a bulk copy. */
const bulkCopyMinimum = 96;

/** Copies a strided view of `source` into `out`, dense and row-major. */
export function copyStrided(
  source: TensorData,
  out: TensorData,
  sizes: readonly number[],
  strides: readonly number[],
  offset = 0,
): void {
  if (out.length === 0) return;
  const walk = collapse(sizes, [strides]);
  const { run } = walk;
  const stride = walk.steps[0]!;
  forEachRow(walk, (row, offsets) => {
    const from = offset + offsets[0]!;
    if (stride === 1) return copyRun(source, from, out, row * run, run);
    for (let i = 0, at = row * run; i < run; i++) out[at + i] = source[from + i * stride]!;
  });
}

/** Copies `count` neighbouring elements. */
export function copyRun(source: TensorData, from: number, out: TensorData, to: number, count: number): void {
  if (count >= bulkCopyMinimum) {
    out.set(source.subarray(from, from + count), to);
    return;
  }
  for (let i = 0; i < count; i++) out[to + i] = source[from + i]!;
}

/** Offset of each element of a strided view, in row-major order. */
export function elementOffsets(sizes: readonly number[], strides: readonly number[]): Int32Array {
  const walk = collapse(sizes, [strides]);
  const offsets = new Int32Array(sizes.reduce((n, size) => n * size, 1));
  if (offsets.length === 0) return offsets;
  const { run } = walk;
  const stride = walk.steps[0]!;
  forEachRow(walk, (row, [from]) => {
    for (let i = 0, at = row * run; i < run; i++) offsets[at + i] = from! + i * stride;
  });
  return offsets;
}
