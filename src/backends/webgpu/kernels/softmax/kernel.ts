import { type Dim, multiplyDims } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import { forEachRow } from "../../operands.ts";
import { laneArguments, workgroupReduction } from "../../reduce.ts";
import { shader, wgslSize } from "../../wgsl.ts";

/** x is [outer, size, inner], and the middle axis is the one that sums to 1. */
export interface SoftmaxParams {
  readonly outer: Dim;
  readonly size: Dim;
  readonly inner: Dim;
}

export const softmax = defineKernel<SoftmaxParams>({
  name: "softmax",
  doc: "out = e^(x - max x) / Σ e^(x - max x) along the middle axis; x, out value f32 [outer, size, inner].",
  class: "elementwise",
  build({ outer, size, inner }, target) {
    const workgroupSize = target.reduction === "serial" ? 8 : 64;
    const reduction = (name: string, combine: "add" | "max") =>
      workgroupReduction(target, { name, type: "f32", combine }, workgroupSize);
    const all = `var i = local; i < ${wgslSize(size)}; i += ${workgroupSize}u`;
    const grid = forEachRow(
      multiplyDims(outer, inner),
      `let inner = ${wgslSize(inner)};
    let first = row / inner * ${wgslSize(size)} * inner + row % inner;
    var part = -3.4028234e38;
    for (${all}) { part = max(part, x[first + i * inner]); }
    let largest = max_all(part, ${laneArguments(target)});
    part = 0.0;
    for (${all}) { part += exp(x[first + i * inner] - largest); }
    let sum = sum_all(part, ${laneArguments(target)});
    for (${all}) { out[first + i * inner] = exp(x[first + i * inner] - largest) / sum; }`,
    );
    return shader(target, {
      bindings: {
        x: { type: "array<f32>", access: "value" },
        out: { type: "array<f32>", access: "value" },
      },
      workgroupSize,
      declarations: `${reduction("max_all", "max")}\n${reduction("sum_all", "add")}`,
      ...grid,
    });
  },
});
