import type { Node, Value } from "../../../ir/graph.ts";
import { inlineWeight } from "../../../ir/weights.ts";
import { movementKernels } from "../../../runtime/cpu/kernels/movement.ts";
import { addDims, type Dim, isSymbolic, maxDims, multiplyDims, subtractDims } from "../../../tensor/dim.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import { tensor } from "../../../tensor/tensor.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { ArgTypes, PortableTensor } from "../value.ts";

type Mode = "constant" | "reflect" | "edge" | "wrap";
/** Elements that are added to an axis, or taken from it. */
interface Ends {
  readonly before: Dim;
  readonly after: Dim;
}

const isNone = ({ before, after }: Ends): boolean => before === 0 && after === 0;

function pad(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const rank = x.shape.length;
  const pads = node.arg("pads").contents!;
  const ends = (sign: 1 | -1): readonly Ends[] =>
    x.shape.map((_, axis) => {
      const [before, after] = [pads[axis]!, pads[rank + axis]!];
      const atLeast0 = (amount: Dim) => maxDims(multiplyDims(amount, sign), 0);
      return { before: atLeast0(before), after: atLeast0(after) };
    });
  const cropped = ends(-1).reduce((part, each, axis) => crop(e, part, axis, each), x);
  const added = ends(1);
  if (added.every(isNone)) return cropped;
  const mode = node.attrs.mode as Mode;
  if (mode === "constant") return padWithValue(e, cropped, added, node.optional("value"));
  return added.reduce((part, each, axis) => padWithOwn(e, part, axis, each, mode), cropped);
}

function crop(e: Emitter, x: PortableTensor, axis: number, ends: Ends): PortableTensor {
  if (isNone(ends)) return x;
  const end = subtractDims(x.shape[axis]!, ends.after);
  const size = subtractDims(end, ends.before);
  return e.slice(x, axis, e.size(ends.before), e.size(end), size);
}

function padWithValue(
  e: Emitter,
  x: PortableTensor,
  ends: readonly Ends[],
  value: Value | undefined,
): PortableTensor {
  const shape = x.shape.map((size, axis) => addDims(size, addDims(ends[axis]!.before, ends[axis]!.after)));
  // The last axis comes first.
  const amounts = ends.toReversed().flatMap(({ before, after }) => [e.size(before), e.size(after)]);
  const padded = (self: PortableTensor, fill: ArgTypes["scalar"]) =>
    e.op("aten::constant_pad_nd.out", { self, pad: amounts, value: fill }, { dtype: self.dtype, shape });
  const known = value === undefined ? 0 : knownNumber(value);
  if (known !== undefined) return padded(x, isFloat(x.dtype) ? { double: known } : known);
  const size = x.shape.map((each) => e.size(each));
  const isOld = e.op("aten::full.out", { size, fill_value: 1 }, { dtype: "bool", shape: x.shape });
  const args = { condition: padded(isOld, 0), self: padded(x, 0), other: e.tensor(value!) };
  return e.op("aten::where.self_out", args, { dtype: x.dtype, shape });
}

/** The only element of a value that a program can have among its numbers. */
function knownNumber({ contents, def, type }: Value): number | undefined {
  const number = contents?.[0] ?? (def.kind === "const" ? def.data.inline?.data[0] : undefined);
  if (typeof number !== "number" || !(isFloat(type.dtype) || Number.isSafeInteger(number))) return undefined;
  return number;
}

function padWithOwn(
  e: Emitter,
  self: PortableTensor,
  axis: number,
  ends: Ends,
  mode: Exclude<Mode, "constant">,
): PortableTensor {
  if (isNone(ends)) return self;
  const index = sources(e, self.shape[axis]!, ends, mode);
  const shape = self.shape.with(axis, index.shape[0]!);
  // The other kernel that takes whole slices refuses an axis without elements.
  const indices = [...Array.from({ length: axis }, () => undefined), index];
  return e.op("aten::index.Tensor_out", { self, indices }, { dtype: self.dtype, shape });
}

/** For each position along a padded axis of `size` elements before, the position that its element comes from. */
function sources(
  e: Emitter,
  size: Dim,
  { before, after }: Ends,
  mode: Exclude<Mode, "constant">,
): PortableTensor {
  const type = { dtype: "i64", shape: [addDims(size, addDims(before, after))] } as const;
  if (!isSymbolic(size) && !isSymbolic(before) && !isSymbolic(after)) {
    const x = tensor(
      "i64",
      [size],
      Array.from({ length: size }, (_, i) => i),
    );
    const pads = tensor("i64", [2], [before, after]);
    return e.constant(inlineWeight(movementKernels.pad({ x, pads }, { mode })[0]!));
  }
  const last = subtractDims(size, 1);
  const steps = (from: Dim): PortableTensor => {
    const start = e.size(subtractDims(from, before));
    const end = e.size(addDims(from, addDims(size, after)));
    return e.op("aten::arange.start_out", { start, end, step: 1 }, type);
  };
  if (mode === "edge") return e.op("aten::clamp.out", { self: steps(0), min: 0, max: e.size(last) }, type);
  const period = maxDims(mode === "wrap" ? size : multiplyDims(last, 2), 1);
  // It begins whole periods later: what the kernel leaves of negative integers is negative.
  const args = { self: steps(multiplyDims(before, period)), other: e.size(period) };
  const there = e.op("aten::remainder.Scalar_out", args, type);
  if (mode === "wrap") return there;
  const back = e.op("aten::neg.out", { self: there }, type);
  const other = e.op("aten::add.Scalar_out", { self: back, other: e.size(period), alpha: 1 }, type);
  return e.op("aten::minimum.out", { self: there, other }, type);
}

export const padding = { pad: one(pad) } satisfies Record<string, Decomposition>;
