import type { KernelTable } from "../../../ir/ops/op.ts";
import type { ElementwiseOps, UnaryOp } from "../../../ir/ops/signatures.ts";
import type { DType } from "../../../tensor/dtype.ts";
import { allocate, elementCount, type Tensor, tensor } from "../../../tensor/tensor.ts";
import { planBroadcast } from "./broadcast.ts";
import { binaryKernels } from "./elementwise-binary.ts";
import { erf } from "./erf.ts";
import { fitted } from "./fit.ts";
import { map } from "./map.ts";
import { forEachRow } from "./strides.ts";

/** To the nearest integer, ties to the even one (IEEE 754's roundTiesToEven). */
export function roundHalfToEven(x: number): number {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

const unaryKernels: KernelTable<Pick<ElementwiseOps, UnaryOp>> = {
  neg: map((x) => -x),
  abs: map(Math.abs),
  sign: map(Math.sign),
  exp: map(Math.exp),
  log: map(Math.log),
  sqrt: map(Math.sqrt),
  rsqrt: map((x) => 1 / Math.sqrt(x)),
  reciprocal: map((x) => 1 / x),
  floor: map(Math.floor),
  ceil: map(Math.ceil),
  round: map(roundHalfToEven),
  sin: map(Math.sin),
  cos: map(Math.cos),
  tan: map(Math.tan),
  asin: map(Math.asin),
  acos: map(Math.acos),
  atan: map(Math.atan),
  sinh: map(Math.sinh),
  cosh: map(Math.cosh),
  tanh: map(Math.tanh),
  asinh: map(Math.asinh),
  acosh: map(Math.acosh),
  atanh: map(Math.atanh),
  erf: map(erf),
  sigmoid: map((x) => 1 / (1 + Math.exp(-x))),
  relu: map((x) => Math.max(x, 0)),
  not: map((x) => (x === 0 ? 1 : 0)),
  // ~x = -x - 1 in two's complement, whatever the width; for unsigned types the wrap does the rest
  bitwise_not: map((x) => -x - 1),
  is_nan: map((x) => (Number.isNaN(x) ? 1 : 0), "bool"),
};

function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  const { shape, walk } = planBroadcast([condition.shape, a.shape, b.shape]);
  const out = allocate(a.dtype, elementCount(shape));
  if (out.length === 0) return tensor(a.dtype, shape, out);
  const { run } = walk;
  const [conditionStep, aStep, bStep] = walk.steps as [number, number, number];
  forEachRow(walk, (row, offsets) => {
    let [c, p, q] = offsets as [number, number, number];
    for (let i = row * run, end = i + run; i < end; i++) {
      out[i] = condition.data[c] !== 0 ? a.data[p]! : b.data[q]!;
      c += conditionStep;
      p += aStep;
      q += bStep;
    }
  });
  return tensor(a.dtype, shape, out);
}

const isNonzero = map((x) => (x === 0 ? 0 : 1), "bool");

/** Shares memory with `x` when it has the dtype already. */
function cast(x: Tensor, to: DType): Tensor {
  if (x.dtype === to) return x;
  if (to === "bool") return isNonzero({ x })[0];
  const out = allocate(to, x.data.length);
  // typed arrays truncate and wrap as they are written, NaN and infinities become 0
  out.set(x.data);
  return fitted(to, x.shape, out);
}

export const elementwiseKernels: KernelTable<ElementwiseOps> = {
  ...unaryKernels,
  ...binaryKernels,
  where: ({ condition, a, b }) => [where(condition, a, b)],
  cast: ({ x }, { to }) => [cast(x, to)],
  is_inf: ({ x }, { negative, positive }) =>
    map((v) => ((v === Infinity && positive) || (v === -Infinity && negative) ? 1 : 0), "bool")({ x }),
};
