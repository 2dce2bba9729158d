import type { MovementOps } from "../../../ir/ops/signatures.ts";
import { allocate, elementCount, type Tensor, tensor } from "../../../tensor/tensor.ts";
import { contiguousStrides } from "./strides.ts";

type PadMode = MovementOps["pad"]["attrs"]["mode"];

/**
 * Adds `pads[i]` elements before axis i and `pads[rank + i]` after it; where one is negative the axis is cropped,
 * before anything is added. Edges repeat, reflect and wrap as in `numpy.pad`, over and over when the padding is
 * longer than the axis.
 */
export function pad(x: Tensor, pads: readonly number[], mode: PadMode, value: number): Tensor {
  const rank = x.shape.length;
  if (rank === 0) return x;
  const sources = x.shape.map((size, axis) => sourcePositions(size, pads[axis]!, pads[rank + axis]!, mode));
  const shape = sources.map((positions) => positions.length);
  const out = allocate(x.dtype, elementCount(shape));
  if (value !== 0) out.fill(value);
  const strides = contiguousStrides(x.shape);
  const inner = sources[rank - 1]!;
  const index = new Array<number>(rank - 1).fill(0);
  for (let to = 0; to < out.length; to += inner.length) {
    let from = 0;
    for (let axis = 0; axis < rank - 1 && from >= 0; axis++) {
      const position = sources[axis]![index[axis]!]!;
      from = position < 0 ? -1 : from + position * strides[axis]!;
    }
    for (let i = 0; i < inner.length && from >= 0; i++)
      if (inner[i]! >= 0) out[to + i] = x.data[from + inner[i]!]!;
    for (let axis = rank - 2; axis >= 0 && ++index[axis]! === shape[axis]!; axis--) index[axis] = 0;
  }
  return tensor(x.dtype, shape, out);
}

/** For each position along a padded axis, the position that its element comes from; -1: none, the fill value. */
function sourcePositions(size: number, before: number, after: number, mode: PadMode): Int32Array {
  const first = Math.max(0, -before);
  const kept = size - first - Math.max(0, -after);
  const length = size + before + after;
  if (kept < 0 || length < 0)
    throw new RangeError(`An axis of ${size} elements is cropped by more than that.`);
  if (kept === 0 && length > 0 && mode !== "constant")
    throw new RangeError(`An axis without elements cannot be padded with its own (mode ${mode}).`);
  const added = Math.max(0, before);
  const positions = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const position = inside[mode](i - added, kept);
    positions[i] = position < 0 ? -1 : first + position;
  }
  return positions;
}

const modulo = (a: number, b: number): number => ((a % b) + b) % b;

/** The position on an axis of `size` elements that stands for position i, which may be off its ends. */
const inside: { readonly [M in PadMode]: (i: number, size: number) => number } = {
  constant: (i, size) => (i < size ? i : -1),
  edge: (i, size) => Math.min(Math.max(i, 0), size - 1),
  wrap: modulo,
  reflect: (i, size) => {
    if (size === 1) return 0;
    const position = modulo(i, 2 * (size - 1));
    return Math.min(position, 2 * (size - 1) - position);
  },
};
