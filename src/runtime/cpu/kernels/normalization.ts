import type { Kernel } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { allocate } from "../../../tensor/tensor.ts";
import { fitted } from "./fit.ts";
import { rowsOf } from "./linear.ts";
import { Scratch } from "./scratch.ts";
import { forEachLine, splitAtAxis } from "./strides.ts";

const sliceScratch = new Scratch();

export const softmax: Kernel<NeuralOps["softmax"]> = ({ x }, { axis }) => {
  const lines = splitAtAxis(x.shape, axis);
  const { size, inner } = lines;
  const { data } = x;
  const out = allocate(x.dtype, data.length);
  const slice = sliceScratch.take(size);
  forEachLine(lines, (first) => {
    let max = Number.NEGATIVE_INFINITY;
    for (let j = 0, at = first; j < size; j++, at += inner) if (data[at]! > max) max = data[at]!;
    let sum = 0;
    for (let j = 0, at = first; j < size; j++, at += inner) sum += slice[j] = Math.exp(data[at]! - max);
    for (let j = 0, at = first; j < size; j++, at += inner) out[at] = slice[j]! / sum;
  });
  return [fitted(x.dtype, x.shape, out)];
};

export const rmsNorm: Kernel<NeuralOps["nn.rms_norm"]> = ({ x, scale }, { eps }) => {
  const width = scale.data.length;
  const { data } = x;
  const factors = scale.data;
  const out = allocate(x.dtype, data.length);
  for (let row = 0, rows = rowsOf(x); row < rows; row++) {
    const from = row * width;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += data[from + i]! * data[from + i]!;
    const inverse = Math.fround(1 / Math.sqrt(Math.fround(Math.fround(sum / width) + eps)));
    for (let i = 0; i < width; i++) out[from + i] = Math.fround(data[from + i]! * inverse) * factors[i]!;
  }
  return [fitted(x.dtype, x.shape, out)];
};

export const layerNorm: Kernel<NeuralOps["nn.layer_norm"]> = ({ x, scale, bias }, { eps }) => {
  const width = scale.data.length;
  const { data } = x;
  const out = allocate(x.dtype, data.length);
  for (let row = 0, rows = rowsOf(x); row < rows; row++) {
    const from = row * width;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += data[from + i]!;
    const mean = sum / width;
    let squares = 0;
    for (let i = 0; i < width; i++) squares += (data[from + i]! - mean) ** 2;
    const inverse = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++)
      out[from + i] = (data[from + i]! - mean) * inverse * scale.data[i]! + (bias ? bias.data[i]! : 0);
  }
  return [fitted(x.dtype, x.shape, out)];
};
