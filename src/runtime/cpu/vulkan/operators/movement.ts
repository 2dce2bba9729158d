import { type Tensor, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { movementKernels } from "../../kernels/movement.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import { bool, ignored, int, number, optional, resident, size, sizes, tensor, tensors } from "../kinds.ts";
import { listOp, type Operators, op } from "../operator.ts";
import { anyDType, axisOf, hasAxis, numbers, numeric, ofFixedSize, sameType, shapeText } from "./checks.ts";

const reshape = (x: Tensor, shape: readonly number[]): Tensor =>
  movementKernels.reshape({ x, shape: numbers(shape) }, {})[0]!;

const view = op(
  [tensor, optional(sizes)],
  (x, shape) => (shape === null ? x : reshape(x, shape)),
  (x, shape, out) => [
    ...sameType(anyDType, x, out),
    shape !== null && shape.filter((each) => each === -1).length > 1 && `the shape ${shapeText(shape)}`,
  ],
);

const permute = op(
  [tensor, sizes],
  (x, order) => movementKernels.transpose({ x }, { perm: order })[0]!,
  (x, order, out) => [
    ...sameType([...numeric, "u8", "bool"], x, out),
    // A negative one is not counted from the end as sizes change.
    [...order].sort().join() !== x.bound.map((_, axis) => axis).join() &&
      `the order ${shapeText(order)} of ${x.rank} axes`,
  ],
);

/** The runtime drops those of the axes that are of one element. */
function squeeze(x: Tensor, axes: readonly number[]): Tensor {
  return reshape(
    x,
    x.shape.filter((length, axis) => length !== 1 || !axes.includes(axis)),
  );
}

/** Where a slice or an index is outside, the runtime takes it modulo the size. */
function position(at: number, length: number, most: number): number {
  const counted = at < 0 ? at + length : at;
  if (!(counted >= 0 && counted <= most))
    throw new RangeError(`Position ${at} is outside an axis of ${length} elements.`);
  return counted;
}

const noEnd = 2 ** 63;

function slice(x: Tensor, axis: number, start: number | null, end: number | null, step: number): Tensor {
  const at = axisOf(axis, x.shape.length);
  const length = x.shape[at]!;
  const from = position(start ?? 0, length, length - 1);
  const to = end === null || end === noEnd ? length : position(end, length, length);
  if (to <= from) throw new RangeError(`It takes nothing: ${from} to ${to}.`);
  const range = { starts: numbers([from]), ends: numbers([to]) };
  return movementKernels.slice({ x, ...range }, { axes: [at], steps: [step] })[0]!;
}

function select(x: Tensor, axis: number, index: number): Tensor {
  const at = axisOf(axis, x.shape.length);
  const from = position(index, x.shape[at]!, x.shape[at]! - 1);
  return reshape(slice(x, at, from, from + 1, 1), x.shape.toSpliced(at, 1));
}

/** A size of -1 stays as it is. */
function expand(x: Tensor, shape: readonly number[]): Tensor {
  const added = shape.length - x.shape.length;
  const target = shape.map((length, axis) => {
    const own = axis < added ? 1 : x.shape[axis - added]!;
    if (length !== -1 && own !== 1 && own !== length)
      throw new RangeError(`${shapeText(x.shape)} does not expand to ${shapeText(shape)}.`);
    return length === -1 ? own : length;
  });
  return movementKernels.expand({ x, shape: numbers(target) }, {})[0]!;
}

function repeat(x: Tensor, repeats: readonly number[]): Tensor {
  const missing = Math.max(0, repeats.length - x.shape.length);
  const shaped = reshape(x, [...Array<number>(missing).fill(1), ...x.shape]);
  const all = [...Array<number>(shaped.shape.length - repeats.length).fill(1), ...repeats];
  return movementKernels.tile({ x: shaped, repeats: numbers(all) }, {})[0]!;
}

function concat(inputs: readonly Tensor[], axis: number): Tensor {
  const [first] = inputs;
  const at = axisOf(axis, first!.shape.length);
  for (const { shape } of inputs)
    if (shape.some((length, i) => i !== at && length !== first!.shape[i]))
      throw new RangeError(`${shapeText(first!.shape)} and ${shapeText(shape)} do not join at axis ${at}.`);
  return movementKernels.concat({ inputs }, { axis: at })[0]!;
}

function split(from: GraphTensor, lengths: readonly number[], axis: number): Tensor[] {
  const x = ofFixedSize(from);
  const at = axisOf(axis, x.shape.length);
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return slice(x, at, end - length, end, 1);
  });
}

function filled({ dtype }: GraphTensor, shape: readonly number[], value: number): Tensor {
  const made = tensorOf(dtype, shape);
  made.data.fill(value);
  return made;
}
const filledWith = (value: number) =>
  op([sizes, ignored, ignored, ignored, ignored], (shape, ...more) => filled(more[4], shape, value));

export const movementOperators: Operators = {
  "aten.view_copy.default": view,
  "aten.permute_copy.default": permute,
  "aten.permute.default": permute,
  "aten.unsqueeze_copy.default": op(
    [tensor, int],
    (x, axis) => reshape(x, x.shape.toSpliced(axisOf(axis, x.shape.length + 1), 0, 1)),
    (x, axis, out) => [
      ...sameType(anyDType, x, out),
      x.rank > 3 && `a tensor of ${x.rank} axes`,
      hasAxis(axis, x.rank + 1),
    ],
  ),
  "aten.squeeze_copy.dims": op([tensor, sizes], squeeze, (x, axes, out) => [
    ...sameType(anyDType, x, out),
    axes.some((axis) => !(axis >= 0 && axis < x.rank)) && `the axes ${shapeText(axes)} of ${x.rank}`,
  ]),
  "aten.expand_copy.default": op([tensor, sizes, bool], expand, (x, shape, _implicit, out) => [
    ...sameType([...numeric, "u8", "bool"], x, out),
    (shape.length === 0 || shape.length < x.rank) && `${shape.length} sizes for ${x.rank} axes`,
  ]),
  "aten.slice_copy.Tensor": op(
    [tensor, int, optional(size), optional(size), int],
    slice,
    (x, axis, _start, _end, step, out) => [
      ...sameType(anyDType, x, out),
      hasAxis(axis, x.rank),
      step < 1 && `the step ${step}`,
    ],
  ),
  "aten.select_copy.int": op([tensor, int, size], select, (x, axis, index, out) => [
    ...sameType(anyDType, x, out),
    hasAxis(axis, x.rank),
    (index >= x.size(axis) || index < -x.size(axis)) && `index ${index} of ${x.size(axis)}`,
    out.rank !== x.rank - 1 && `a result of ${out.rank} axes`,
  ]),
  "aten.cat.default": op([tensors, int], concat, (inputs, axis, out) => [
    ...sameType(numeric, ...inputs, out),
    inputs.length === 0 && "nothing to join",
    inputs.some(({ rank }) => rank !== out.rank) && "tensors of different ranks",
    hasAxis(axis, out.rank),
  ]),
  "aten.split_with_sizes_copy.default": listOp([resident, sizes, int], split, (x, lengths, axis, out) => [
    ...sameType(anyDType, x, ...out),
    hasAxis(axis, x.rank),
    out.length !== lengths.length && `${out.length} results for ${lengths.length} sizes`,
    lengths.reduce((sum, length) => sum + length, 0) !== x.size(axis) &&
      `the sizes ${shapeText(lengths)} of ${x.size(axis)}`,
  ]),
  "aten.repeat.default": op([tensor, sizes], repeat, (x, _repeats, out) => sameType(anyDType, x, out)),
  "aten.full.default": op([sizes, number, ignored, ignored, ignored, ignored], (shape, value, ...more) =>
    filled(more[4], shape, value),
  ),
  "aten.zeros.default": filledWith(0),
  "aten.ones.default": filledWith(1),
};
