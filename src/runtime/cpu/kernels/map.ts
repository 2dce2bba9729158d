import type { DType } from "../../../tensor/dtype.ts";
import { allocate, type Tensor } from "../../../tensor/tensor.ts";
import { fitted } from "./fit.ts";

/** A function of one number, applied to each element. The result has x's dtype unless another is given. */
export const map =
  (apply: (x: number) => number, dtype?: DType) =>
  ({ x }: { readonly x: Tensor }): [Tensor] => {
    const result = dtype ?? x.dtype;
    const { data } = x;
    const out = allocate(result, data.length);
    for (let i = 0; i < out.length; i++) out[i] = apply(data[i]!);
    return [fitted(result, x.shape, out)];
  };
