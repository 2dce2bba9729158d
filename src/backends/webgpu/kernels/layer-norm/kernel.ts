import type { Dim } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import { forEachRow } from "../../operands.ts";
import { laneArguments, workgroupReduction } from "../../reduce.ts";
import { shader, wgslFloat } from "../../wgsl.ts";

export interface LayerNormParams {
  readonly rows: Dim;
  readonly width: number;
  readonly eps: number;
  readonly bias: boolean;
}

export const layerNorm = defineKernel<LayerNormParams>({
  name: "layer-norm",
  doc: "nn.layer_norm: out = (x - mean x) / √(var x + eps) · scale (+ bias) over rows; x, out value f32 [rows, width], scale and bias constant f32 [width].",
  class: "elementwise",
  build({ rows, width, eps, bias }, target) {
    const workgroupSize = target.reduction === "serial" ? 8 : 128;
    const all = `var i = local; i < ${width}u; i += ${workgroupSize}u`;
    const constant = { type: "array<f32>", access: "constant" } as const;
    const grid = forEachRow(
      rows,
      `let first = row * ${width}u;
    var part = 0.0;
    for (${all}) { part += x[first + i]; }
    let mean = sum_all(part, ${laneArguments(target)}) / ${wgslFloat(width)};
    part = 0.0;
    for (${all}) {
      let difference = x[first + i] - mean;
      part += difference * difference;
    }
    let inverse = 1.0 / sqrt(sum_all(part, ${laneArguments(target)}) / ${wgslFloat(width)} + ${wgslFloat(eps)});
    for (${all}) { out[first + i] = (x[first + i] - mean) * inverse * scale[i]${bias ? " + bias[i]" : ""}; }`,
    );
    return shader(target, {
      bindings: {
        x: { type: "array<f32>", access: "value" },
        scale: constant,
        ...(bias && { bias: constant }),
        out: { type: "array<f32>", access: "value" },
      },
      workgroupSize,
      declarations: workgroupReduction(
        target,
        { name: "sum_all", type: "f32", combine: "add" },
        workgroupSize,
      ),
      ...grid,
    });
  },
});
