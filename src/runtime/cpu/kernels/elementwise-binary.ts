import type { Kernel, KernelTable } from "../../../ir/ops/op.ts";
import type { ArithmeticOp, ComparisonOp, ElementwiseOps } from "../../../ir/ops/signatures.ts";
import { bitsPerElement, type DType, isFloat } from "../../../tensor/dtype.ts";
import { allocate, elementCount, type TensorData } from "../../../tensor/tensor.ts";
import { planBroadcast } from "./broadcast.ts";
import { fitted } from "./fit.ts";
import { forEachRow } from "./strides.ts";

type BinaryKernel = Kernel<ElementwiseOps[ArithmeticOp]>;

/** Fills out[o … o + n) from a, starting at p and stepping by s, and b, starting at q and stepping by t. */
type Loop = (
  out: TensorData,
  o: number,
  n: number,
  a: TensorData,
  p: number,
  s: number,
  b: TensorData,
  q: number,
  t: number,
) => void;

/** Whether b's shape is the end of a's: b is repeated as a whole. */
function isSuffix(b: readonly number[], a: readonly number[]): boolean {
  const shift = a.length - b.length;
  return shift >= 0 && b.every((size, i) => size === a[shift + i]);
}

/** Runs a loop over two broadcast tensors; the shapes that models have mostly need no plan. */
const binary =
  (loopFor: (dtype: DType) => Loop, resultDType: (dtype: DType) => DType = (dtype) => dtype): BinaryKernel =>
  ({ a, b }) => {
    const dtype = resultDType(a.dtype);
    const loop = loopFor(a.dtype);
    const aLength = a.data.length;
    const bLength = b.data.length;
    if (bLength === 1 && b.shape.length <= a.shape.length) {
      const out = allocate(dtype, aLength);
      loop(out, 0, aLength, a.data, 0, 1, b.data, 0, 0);
      return [fitted(dtype, a.shape, out)];
    }
    if (aLength === 1 && a.shape.length <= b.shape.length) {
      const out = allocate(dtype, bLength);
      loop(out, 0, bLength, a.data, 0, 0, b.data, 0, 1);
      return [fitted(dtype, b.shape, out)];
    }
    if (isSuffix(b.shape, a.shape)) {
      const out = allocate(dtype, aLength);
      for (let o = 0; o < aLength; o += bLength) loop(out, o, bLength, a.data, o, 1, b.data, 0, 1);
      return [fitted(dtype, a.shape, out)];
    }
    const { shape, walk } = planBroadcast([a.shape, b.shape]);
    const out = allocate(dtype, elementCount(shape));
    if (out.length > 0) {
      const { run } = walk;
      const [s, t] = walk.steps as [number, number];
      forEachRow(walk, (row, offsets) => {
        loop(out, row * run, run, a.data, offsets[0]!, s, b.data, offsets[1]!, t);
      });
    }
    return [fitted(dtype, shape, out)];
  };

/** The loop of a function, for ops that are not worth a loop of their own. */
const loopOf =
  (apply: (x: number, y: number) => number): Loop =>
  (out, o, n, a, p, s, b, q, t) => {
    for (let i = 0; i < n; i++, p += s, q += t) out[o + i] = apply(a[p]!, b[q]!);
  };

const same = (apply: (x: number, y: number) => number): BinaryKernel => {
  const loop = loopOf(apply);
  return binary(() => loop);
};

const compare = (apply: (x: number, y: number) => boolean): BinaryKernel => {
  const loop = loopOf((x, y) => (apply(x, y) ? 1 : 0));
  return binary(
    () => loop,
    () => "bool",
  );
};

// A model's time is in these few: each has a loop that the engine can compile without a call inside.

const add: Loop = (out, o, n, a, p, s, b, q, t) => {
  for (let i = 0; i < n; i++, p += s, q += t) out[o + i] = a[p]! + b[q]!;
};
const subtract: Loop = (out, o, n, a, p, s, b, q, t) => {
  for (let i = 0; i < n; i++, p += s, q += t) out[o + i] = a[p]! - b[q]!;
};
const multiply: Loop = (out, o, n, a, p, s, b, q, t) => {
  for (let i = 0; i < n; i++, p += s, q += t) out[o + i] = a[p]! * b[q]!;
};
const divide: Loop = (out, o, n, a, p, s, b, q, t) => {
  for (let i = 0; i < n; i++, p += s, q += t) out[o + i] = a[p]! / b[q]!;
};
const square: Loop = (out, o, n, a, p, s) => {
  for (let i = 0; i < n; i++, p += s) out[o + i] = a[p]! * a[p]!;
};

// A product of two i32 does not fit in a double.
const multiply32 = loopOf(Math.imul);
const divideIntegers = loopOf((x, y) => (y === 0 ? 0 : Math.trunc(x / y)));

/** C's and IEEE 754-2019's pow: 1 to any power is 1, as is -1 to an infinite one; JavaScript says NaN. */
export const power = (x: number, y: number): number =>
  x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y;
const generalPower = loopOf(power);
const raise: Loop = (out, o, n, a, p, s, b, q, t) => {
  if (t === 0 && b[q] === 2) square(out, o, n, a, p, s, b, q, t);
  else generalPower(out, o, n, a, p, s, b, q, t);
};

/** The remainder that has the divisor's sign, as Python's and NumPy's. */
const floorModulo = (x: number, y: number): number => {
  const rest = x % y;
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
};

const twoTo32 = 2 ** 32;
/** A bitwise function of two 32-bit words, on integers of up to 64 bits. */
function bitwise(apply: (x: number, y: number) => number): (dtype: DType) => Loop {
  const narrow = loopOf(apply);
  const wide = (isSigned: boolean): Loop =>
    loopOf((x, y) => {
      const high = apply(Math.floor(x / twoTo32), Math.floor(y / twoTo32));
      return (isSigned ? high : high >>> 0) * twoTo32 + (apply(x, y) >>> 0);
    });
  return (dtype) => (bitsPerElement(dtype) <= 32 ? narrow : wide(dtype === "i64"));
}

export const binaryKernels: KernelTable<Pick<ElementwiseOps, ArithmeticOp | ComparisonOp>> = {
  add: binary(() => add),
  sub: binary(() => subtract),
  mul: binary((dtype) => (dtype === "i32" || dtype === "u32" ? multiply32 : multiply)),
  div: binary((dtype) => (isFloat(dtype) ? divide : divideIntegers)),
  mod: same(floorModulo),
  fmod: same((x, y) => x % y),
  pow: binary(() => raise),
  maximum: same(Math.max),
  minimum: same(Math.min),
  and: same((x, y) => x & y),
  or: same((x, y) => x | y),
  xor: same((x, y) => x ^ y),
  bitwise_and: binary(bitwise((x, y) => x & y)),
  bitwise_or: binary(bitwise((x, y) => x | y)),
  bitwise_xor: binary(bitwise((x, y) => x ^ y)),
  // In doubles a shift is exact whatever the width, and it ends in 0 or the sign when all bits are gone.
  shift_left: same((x, y) => (x * 2 ** y) % 2 ** 64),
  shift_right: same((x, y) => Math.floor(x / 2 ** y)),
  equal: compare((x, y) => x === y),
  less: compare((x, y) => x < y),
  less_equal: compare((x, y) => x <= y),
  greater: compare((x, y) => x > y),
  greater_equal: compare((x, y) => x >= y),
};
