import type { Node } from "../../../ir/graph.ts";
import type { Decomposition } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";
import { refuseF64, rounded, wide } from "./widening.ts";

const mean = (e: Emitter, x: PortableTensor): PortableTensor =>
  e.op(
    "aten::mean.out",
    { self: x, dim: [-1], keepdim: true, dtype: undefined },
    { dtype: x.dtype, shape: x.shape.with(-1, 1) },
  );

const multiply = (e: Emitter, x: PortableTensor, y: PortableTensor): PortableTensor =>
  e.op("aten::mul.out", { self: x, other: y }, x);

/** 1 / √(mean x² + eps), of each row. */
function inverseDeviation(e: Emitter, x: PortableTensor, eps: number): PortableTensor {
  const variance = mean(e, multiply(e, x, x));
  const args = { self: variance, other: { double: eps }, alpha: 1 };
  return e.op("aten::rsqrt.out", { self: e.op("aten::add.Scalar_out", args, variance) }, variance);
}

function rmsNorm(e: Emitter, node: Node): PortableTensor {
  const x = wide(e, e.tensor(node.arg("x")));
  const normal = multiply(e, x, inverseDeviation(e, x, node.attrs.eps as number));
  return multiply(e, normal, wide(e, e.tensor(node.arg("scale"))));
}

function layerNorm(e: Emitter, node: Node): PortableTensor {
  const x = wide(e, e.tensor(node.arg("x")));
  const centred = e.op("aten::sub.out", { self: x, other: mean(e, x), alpha: 1 }, x);
  const normal = multiply(e, centred, inverseDeviation(e, centred, node.attrs.eps as number));
  const scaled = multiply(e, normal, wide(e, e.tensor(node.arg("scale"))));
  const bias = node.optional("bias");
  if (bias === undefined) return scaled;
  return e.op("aten::add.out", { self: scaled, other: wide(e, e.tensor(bias)), alpha: 1 }, x);
}

function softmax(e: Emitter, node: Node): PortableTensor {
  const x = wide(e, e.tensor(node.arg("x")));
  return e.op("aten::_softmax.out", { self: x, dim: node.attrs.axis as number, half_to_float: false }, x);
}

export const normalization = {
  "nn.rms_norm": rounded(rmsNorm, refuseF64("x", "scale")),
  "nn.layer_norm": rounded(layerNorm, refuseF64("x", "scale", "bias")),
  softmax: rounded(softmax, refuseF64("x")),
} satisfies Record<string, Decomposition>;
