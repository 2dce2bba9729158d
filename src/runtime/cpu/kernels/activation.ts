import type { Kernel } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { allocate } from "../../../tensor/tensor.ts";
import { erf } from "./erf.ts";
import { fitted } from "./fit.ts";
import { map } from "./map.ts";

export const relu2: Kernel<NeuralOps["nn.relu2"]> = ({ x }) => {
  const out = allocate(x.dtype, x.data.length);
  for (let i = 0; i < out.length; i++) {
    const value = x.data[i]!;
    // NaN is not below 0, and stays
    out[i] = value < 0 ? 0 : value * value;
  }
  return [fitted(x.dtype, x.shape, out)];
};

export const silu: Kernel<NeuralOps["nn.silu"]> = map((x) => x / (1 + Math.exp(-x)));

const geluExact = map((x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)));
const geluTanh = map((x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))));
export const gelu: Kernel<NeuralOps["nn.gelu"]> = ({ x }, { approximate }) =>
  (approximate === "tanh" ? geluTanh : geluExact)({ x });
