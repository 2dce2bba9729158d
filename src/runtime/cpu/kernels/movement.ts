import type { KernelTable } from "../../../ir/ops/op.ts";
import type { MovementOps } from "../../../ir/ops/signatures.ts";
import { allocate, elementCount, type Tensor, tensor } from "../../../tensor/tensor.ts";
import { broadcastShapes, broadcastStrides } from "./broadcast.ts";
import { fitted } from "./fit.ts";
import { pad } from "./pad.ts";
import { contiguousStrides, copyRun, copyStrided, fromStart, splitAtAxis } from "./strides.ts";

/** The operand's elements, as sizes or positions. */
const numbersOf = (operand: Tensor): number[] => Array.from(operand.data);

/** A strided view of `x`, made dense. */
function view(x: Tensor, shape: readonly number[], strides: readonly number[], offset = 0): Tensor {
  const out = allocate(x.dtype, elementCount(shape));
  copyStrided(x.data, out, shape, strides, offset);
  return tensor(x.dtype, shape, out);
}

/** Shares memory with `x`. */
function reshape(x: Tensor, target: readonly number[]): Tensor {
  const known = elementCount(target.filter((size) => size !== -1));
  const inferred = known === 0 ? 0 : x.data.length / known;
  const shape = target.map((size) => (size === -1 ? inferred : size));
  if (!Number.isInteger(inferred) || elementCount(shape) !== x.data.length)
    throw new RangeError(`A tensor of shape [${x.shape.join(", ")}] has no shape [${target.join(", ")}].`);
  return tensor(x.dtype, shape, x.data);
}

/** Shares memory with `x` where the shape stays as it is. */
function expand(x: Tensor, target: readonly number[]): Tensor {
  const shape = broadcastShapes(x.shape, target);
  if (elementCount(shape) === x.data.length) return tensor(x.dtype, shape, x.data);
  return view(x, shape, broadcastStrides(x.shape, shape));
}

function concat(inputs: readonly Tensor[], axis: number): Tensor {
  const first = inputs[0]!;
  const at = fromStart(axis, first.shape.length);
  const size = inputs.reduce((n, input) => n + input.shape[at]!, 0);
  const shape = first.shape.with(at, size);
  const { outer, inner } = splitAtAxis(first.shape, at);
  const out = allocate(first.dtype, elementCount(shape));
  let to = 0;
  for (const input of inputs) {
    const count = input.shape[at]! * inner;
    for (let i = 0; i < outer; i++) copyRun(input.data, i * count, out, to + i * size * inner, count);
    to += count;
  }
  return tensor(first.dtype, shape, out);
}

/** First position and number of positions of a NumPy slice of an axis. */
function sliceRange(size: number, start: number, end: number, step: number) {
  const low = step > 0 ? 0 : -1;
  const high = step > 0 ? size : size - 1;
  const clamp = (position: number) =>
    Math.min(Math.max(position < 0 ? position + size : position, low), high);
  const from = clamp(start);
  return { from, count: Math.max(0, Math.ceil((clamp(end) - from) / step)) };
}

const slice: KernelTable<MovementOps>["slice"] = ({ x, starts, ends }, { axes, steps }) => {
  const strides = contiguousStrides(x.shape);
  const shape = [...x.shape];
  let offset = 0;
  axes.forEach((axis, i) => {
    const at = fromStart(axis, shape.length);
    const { from, count } = sliceRange(x.shape[at]!, starts.data[i]!, ends.data[i]!, steps[i]!);
    offset += from * strides[at]!;
    strides[at]! *= steps[i]!;
    shape[at] = count;
  });
  return [view(x, shape, strides, offset)];
};

/** Each axis as two, the repeats with a stride of 0 outside. */
function tile(x: Tensor, repeats: readonly number[]): Tensor {
  const strides = contiguousStrides(x.shape);
  const sizes = x.shape.flatMap((size, i) => [repeats[i]!, size]);
  const out = allocate(x.dtype, elementCount(sizes));
  copyStrided(
    x.data,
    out,
    sizes,
    strides.flatMap((stride) => [0, stride]),
  );
  return tensor(
    x.dtype,
    x.shape.map((size, i) => size * repeats[i]!),
    out,
  );
}

function range(start: Tensor, limit: Tensor, delta: Tensor): Tensor {
  const from = start.data[0]!;
  const step = delta.data[0]!;
  if (step === 0) throw new RangeError("A range with a step of 0 does not end.");
  const out = allocate(start.dtype, Math.max(0, Math.ceil((limit.data[0]! - from) / step)));
  for (let i = 0; i < out.length; i++) out[i] = from + i * step;
  return fitted(start.dtype, [out.length], out);
}

function triangle(x: Tensor, k: number, isUpper: boolean): Tensor {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const out = allocate(x.dtype, x.data.length);
  for (let row = 0; row * columns < out.length; row++) {
    const diagonal = (row % rows) + k;
    const from = isUpper ? Math.min(Math.max(diagonal, 0), columns) : 0;
    const to = isUpper ? columns : Math.min(Math.max(diagonal + 1, 0), columns);
    copyRun(x.data, row * columns + from, out, row * columns + from, to - from);
  }
  return tensor(x.dtype, x.shape, out);
}

export const movementKernels: KernelTable<MovementOps> = {
  reshape: ({ x, shape }) => [reshape(x, numbersOf(shape))],
  expand: ({ x, shape }) => [expand(x, numbersOf(shape))],
  transpose: ({ x }, { perm }) => {
    const strides = contiguousStrides(x.shape);
    const shape = perm.map((axis) => x.shape[axis]!);
    return [
      view(
        x,
        shape,
        perm.map((axis) => strides[axis]!),
      ),
    ];
  },
  concat: ({ inputs }, { axis }) => [concat(inputs, axis)],
  slice,
  pad: ({ x, pads, value }, { mode }) => [pad(x, numbersOf(pads), mode, value?.data[0] ?? 0)],
  tile: ({ x, repeats }) => [tile(x, numbersOf(repeats))],
  range: ({ start, limit, delta }) => [range(start, limit, delta)],
  triangle: ({ x, k }, { upper }) => [triangle(x, k?.data[0] ?? 0, upper)],
};
