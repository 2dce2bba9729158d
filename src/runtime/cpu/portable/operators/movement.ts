import { type Tensor, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { elementwiseKernels } from "../../kernels/elementwise.ts";
import { movementKernels } from "../../kernels/movement.ts";
import { type Operators, out } from "../operator.ts";
import { denseFormat, int, ints, no, optional, scalar, tensor, tensors } from "../values.ts";
import { axisOf, filled, requireSameType, scalarLike } from "./checks.ts";

const numbers = (list: readonly number[]): Tensor => tensorOf("i64", [list.length], list);

/** One size may be -1: what remains for it. */
function reshape(x: Tensor, shape: readonly number[]): Tensor {
  if (shape.indexOf(-1) !== shape.lastIndexOf(-1)) throw new RangeError(`[${shape.join(", ")}] is no shape.`);
  return movementKernels.reshape({ x, shape: numbers(shape) }, {})[0]!;
}

function permute(x: Tensor, order: readonly number[]): Tensor {
  const rank = x.shape.length;
  const perm = order.map((axis) => axisOf(axis, rank));
  if (new Set(perm).size !== rank) throw new RangeError(`[${order.join(", ")}] is no order of ${rank} axes.`);
  return movementKernels.transpose({ x }, { perm })[0]!;
}

function swap(x: Tensor, a: number, b: number): Tensor {
  const rank = x.shape.length;
  const [first, second] = [axisOf(a, rank), axisOf(b, rank)];
  const order = x.shape.map((_, axis) => axis);
  return rank === 0 ? x : permute(x, order.with(first, second).with(second, first));
}

function unsqueeze(x: Tensor, axis: number): Tensor {
  return reshape(x, x.shape.toSpliced(axisOf(axis, x.shape.length + 1), 0, 1));
}

/** Drops those of the axes that have one element. */
function squeeze(x: Tensor, axes: readonly number[]): Tensor {
  const dropped = new Set(axes.map((axis) => axisOf(axis, x.shape.length)));
  return reshape(
    x,
    x.shape.filter((size, axis) => size !== 1 || !dropped.has(axis)),
  );
}

/** A size of -1 stays as it is. */
function expand(x: Tensor, sizes: readonly number[]): Tensor {
  const added = sizes.length - x.shape.length;
  const shape = sizes.map((size, axis) => (size === -1 && axis >= added ? x.shape[axis - added]! : size));
  if (
    added < 0 ||
    shape.some((size, axis) => axis >= added && x.shape[axis - added] !== 1 && x.shape[axis - added] !== size)
  )
    throw new RangeError(`[${x.shape.join(", ")}] does not expand to [${sizes.join(", ")}].`);
  return movementKernels.expand({ x, shape: numbers(shape) }, {})[0]!;
}

/** As far as it goes where an end is left out. */
export function slice(
  x: Tensor,
  axis: number,
  start: number | null,
  end: number | null,
  step: number,
): Tensor {
  if (!(step > 0)) throw new RangeError(`Its step is ${step}.`);
  const at = axisOf(axis, x.shape.length);
  const bounds = { starts: numbers([start ?? 0]), ends: numbers([end ?? x.shape[at]!]) };
  return movementKernels.slice({ x, ...bounds }, { axes: [at], steps: [step] })[0]!;
}

function select(x: Tensor, axis: number, index: number): Tensor {
  const at = axisOf(axis, x.shape.length);
  const size = x.shape[at]!;
  const from = index < 0 ? index + size : index;
  if (!(from >= 0 && from < size)) throw new RangeError(`It selects ${index} of ${size}.`);
  return reshape(slice(x, at, from, from + 1, 1), x.shape.toSpliced(at, 1));
}

/** Empty vectors count for nothing, whatever the rank of the others. */
function concat(all: readonly Tensor[], axis: number): Tensor {
  const inputs = all.filter(({ shape }) => shape.length !== 1 || shape[0] !== 0);
  const [first] = inputs;
  if (first === undefined) throw new RangeError("It joins nothing.");
  requireSameType(...all);
  const at = axisOf(axis, first.shape.length);
  for (const { shape } of inputs)
    if (shape.length !== first.shape.length || shape.some((size, i) => i !== at && size !== first.shape[i]))
      throw new RangeError(
        `[${first.shape.join(", ")}] and [${shape.join(", ")}] do not join at axis ${axis}.`,
      );
  return movementKernels.concat({ inputs }, { axis: at })[0]!;
}

const copy = (x: Tensor): Tensor => x;

/** An order of axes that is not that of memory is refused as tensors are read. */
function requireOrder(x: Tensor, order: readonly number[] | null): void {
  if (order?.some((axis, i) => axis !== i) || (order !== null && order.length !== x.shape.length))
    throw new RangeError(`It has the order [${order.join(", ")}] of axes.`);
}

const range = (
  start: number,
  end: number,
  step: number,
  type: { readonly dtype: Tensor["dtype"] },
): Tensor => {
  const [from, limit, delta] = [start, end, step].map((value) => scalarLike(type, value)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  return movementKernels.range({ start: from, limit, delta }, {})[0]!;
};

/** Of tensors' shapes, and those that make tensors. */
export const movementOperators: Operators = {
  "aten::view_copy.out": out([tensor, ints], reshape),
  "aten::permute_copy.out": out([tensor, ints], permute),
  "aten::transpose_copy.int_out": out([tensor, int, int], swap),
  "aten::t_copy.out": out([tensor], (x) => {
    if (x.shape.length > 2) throw new RangeError(`It takes matrices, not [${x.shape.join(", ")}].`);
    return x.shape.length < 2 ? x : permute(x, [1, 0]);
  }),
  "aten::unsqueeze_copy.out": out([tensor, int], unsqueeze),
  "aten::squeeze_copy.dim_out": out([tensor, int], (x, axis) => squeeze(x, [axis])),
  "aten::squeeze_copy.dims_out": out([tensor, ints], squeeze),
  "aten::expand_copy.out": out([tensor, ints, no], expand),
  "aten::slice_copy.Tensor_out": out([tensor, int, optional(int), optional(int), int], slice),
  "aten::select_copy.int_out": out([tensor, int, int], select),
  "aten::cat.out": out([tensors, int], concat),
  "aten::clone.out": out([tensor, denseFormat], copy),
  "aten::_to_copy.out": out([tensor, no, denseFormat], (x, _blocking, _format, { dtype }) => {
    return elementwiseKernels.cast({ x }, { to: dtype })[0]!;
  }),
  "dim_order_ops::_to_dim_order_copy.out": out(
    [tensor, no, optional(ints)],
    (x, _blocking, order, { dtype }) => {
      requireOrder(x, order);
      return elementwiseKernels.cast({ x }, { to: dtype })[0]!;
    },
  ),
  "dim_order_ops::_clone_dim_order.out": out([tensor, no, optional(ints)], (x, _blocking, order) => {
    requireOrder(x, order);
    return x;
  }),
  "aten::arange.out": out([scalar], (end, type) => range(0, end, 1, type)),
  "aten::arange.start_out": out([scalar, scalar, scalar], range),
  "aten::full.out": out([ints, scalar], (shape, value, { dtype }) =>
    filled(dtype, shape, scalarLike({ dtype }, value)),
  ),
  "aten::scalar_tensor.out": out([scalar], (value, { dtype }) => scalarLike({ dtype }, value)),
  "aten::repeat.out": out([tensor, ints], (x, repeats) => {
    if (repeats.length < x.shape.length)
      throw new RangeError(`It repeats ${repeats.length} of ${x.shape.length} axes.`);
    const shape = [...repeats.slice(x.shape.length).map(() => 1), ...x.shape];
    return movementKernels.tile({ x: reshape(x, shape), repeats: numbers(repeats) }, {})[0]!;
  }),
};
