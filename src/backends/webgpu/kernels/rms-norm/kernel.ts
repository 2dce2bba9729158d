import type { Dim } from "../../../../tensor/dim.ts";
import { dotProduct, vectorType, vectorWidth } from "../../attention.ts";
import { defineKernel } from "../../kernel.ts";
import { laneArguments, workgroupReduction } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { shader, wgslFloat } from "../../wgsl.ts";

export interface RmsNormParams {
  readonly rows: Dim;
  readonly width: number;
  readonly eps: number;
}

/** On a GPU a row takes as long as its longest chain of loads. */
const sizeOf = (target: Target): number => (target.reduction === "serial" ? 128 : 256);

export const rmsNorm = defineKernel<RmsNormParams>({
  name: "rms-norm",
  doc: "out = x / √(mean(x²) + eps) · scale over rows; x, out f32 [rows, width], scale f32 [width]. Rounded as nn.rms_norm is: the quotient first, then the product.",
  class: "elementwise",
  build: ({ rows, width, eps }, target) => {
    const workgroupSize = sizeOf(target);
    const vector = vectorWidth(width);
    const type = `array<${vectorType(vector)}>`;
    const units = width / vector;
    return shader(target, {
      bindings: {
        x: { type, access: "value" },
        scale: { type, access: "constant" },
        out: { type, access: "value" },
      },
      workgroupSize,
      workgroups: [rows, 1, 1],
      declarations: workgroupReduction(
        target,
        { name: "sum_all", type: "f32", combine: "add" },
        workgroupSize,
      ),
      body: `
  let first = workgroup.x * ${units}u;
  var squares = 0.0;
  for (var i = local; i < ${units}u; i += ${workgroupSize}u) {
    let value = x[first + i];
    squares += ${dotProduct(vector, "value", "value")};
  }
  let mean = sum_all(squares, ${laneArguments(target)}) / ${wgslFloat(width)};
  let inverse = 1.0 / sqrt(mean + ${wgslFloat(eps)});
  for (var i = local; i < ${units}u; i += ${workgroupSize}u) {
    out[first + i] = (x[first + i] * inverse) * scale[i];
  }`,
    });
  },
});
