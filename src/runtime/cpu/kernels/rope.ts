import type { Kernel } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { allocate } from "../../../tensor/tensor.ts";
import { fitted } from "./fit.ts";
import { checkPositions } from "./positions.ts";

export const rope: Kernel<NeuralOps["nn.rope"]> = ({ x, cos, sin, start_pos }, { interleaved }) => {
  const [batch, heads, length, width] = x.shape as [number, number, number, number];
  const half = cos.shape[cos.shape.length - 1]!;
  const isTable = cos.shape.length === 2;
  const start = start_pos?.data[0] ?? 0;
  if (isTable) checkPositions(start, length, cos.shape[0]!, "rotary tables");
  const { data } = x;
  const [cosines, sines] = [cos.data, sin.data];
  const out = allocate(x.dtype, data.length);
  const step = interleaved ? 2 : 1;
  const partner = interleaved ? 1 : half;
  for (let b = 0; b < batch; b++) {
    const firstAngle = isTable ? start * half : cos.shape[0] === 1 ? 0 : b * length * half;
    for (let h = 0; h < heads; h++) {
      for (let s = 0; s < length; s++) {
        const from = ((b * heads + h) * length + s) * width;
        const angle = firstAngle + s * half;
        for (let i = 0; i < half; i++) {
          const at = from + i * step;
          const x0 = data[at]!;
          const x1 = data[at + partner]!;
          out[at] = x0 * cosines[angle + i]! - x1 * sines[angle + i]!;
          out[at + partner] = x1 * cosines[angle + i]! + x0 * sines[angle + i]!;
        }
        for (let i = 2 * half; i < width; i++) out[from + i] = data[from + i]!;
      }
    }
  }
  return [fitted(x.dtype, x.shape, out)];
};
