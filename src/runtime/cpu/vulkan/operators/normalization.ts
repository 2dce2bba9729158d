import { allocate, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { layerNorm, rmsNorm } from "../../kernels/normalization.ts";
import { constant, number, sizes, tensor } from "../kinds.ts";
import { listOp, type Operators, op } from "../operator.ts";
import { hasShape, sameFloats, widthPacked } from "./checks.ts";

export const normalizationOperators: Operators = {
  "et_vk.rms_norm.default": op(
    [tensor, constant, number],
    (x, scale, eps) => rmsNorm({ x, scale }, { eps })[0]!,
    (x, scale, _eps, out) => [
      ...sameFloats(x, scale, out),
      hasShape(scale, [x.size(-1)], "a weight"),
      !x.isBuffer && widthPacked(x, out),
    ],
  ),
  "aten.native_layer_norm.default": listOp(
    [tensor, sizes, constant, constant, number],
    (x, [width], scale, bias, eps) => {
      const [normed] = layerNorm({ x, scale, bias }, { eps });
      const shape = x.shape.with(-1, 1);
      const rows = x.data.length / width!;
      const [means, deviations] = [allocate(x.dtype, rows), allocate(x.dtype, rows)];
      for (let row = 0; row < rows; row++) {
        const elements = x.data.subarray(row * width!, (row + 1) * width!);
        let mean = 0;
        for (const value of elements) mean += value / width!;
        let variance = 0;
        for (const value of elements) variance += (value - mean) ** 2 / width!;
        means[row] = mean;
        deviations[row] = 1 / Math.sqrt(variance + eps);
      }
      return [normed!, tensorOf(x.dtype, shape, means), tensorOf(x.dtype, shape, deviations)];
    },
    (x, shape, scale, bias, _eps, out) => [
      ...sameFloats(x, scale, bias, ...out),
      out.length !== 3 && `${out.length} results`,
      shape.join() !== `${x.size(-1)}` && `[${shape.join(", ")}] in place of the last size`,
      ...[scale, bias].map((each) => hasShape(each, [x.size(-1)], "a weight")),
    ],
  ),
};
