import type { Kernel } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { allocate } from "../../../tensor/tensor.ts";
import { erf } from "./erf.ts";
import { fitToDType } from "./fit.ts";

export const relu2: Kernel<NeuralOps["nn.relu2"]> = ({ x }) => {
  const out = allocate(x.dtype, x.data.length);
  for (let i = 0; i < out.length; i++) {
    const value = x.data[i]!;
    // NaN is not below 0, and stays
    out[i] = value < 0 ? 0 : value * value;
  }
  return [{ ...x, data: fitToDType(x.dtype, out) }];
};

export const silu: Kernel<NeuralOps["nn.silu"]> = ({ x }) => {
  const out = allocate(x.dtype, x.data.length);
  for (let i = 0; i < out.length; i++) out[i] = x.data[i]! / (1 + Math.exp(-x.data[i]!));
  return [{ ...x, data: fitToDType(x.dtype, out) }];
};

export const gelu: Kernel<NeuralOps["nn.gelu"]> = ({ x }, { approximate }) => {
  const out = allocate(x.dtype, x.data.length);
  for (let i = 0; i < out.length; i++) {
    const value = x.data[i]!;
    const gate =
      approximate === "tanh"
        ? Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3))
        : erf(value * Math.SQRT1_2);
    out[i] = 0.5 * value * (1 + gate);
  }
  return [{ ...x, data: fitToDType(x.dtype, out) }];
};
