import type { Dim } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import { shader } from "../../wgsl.ts";
import { type RowNorm, rowBindings, rowStages, unitType } from "./row.ts";

export interface QuantizeRowsParams {
  readonly rows: Dim;
  readonly depth: number;
  /** Rows are normed as nn.rms_norm does before they are quantised. */
  readonly norm?: RowNorm;
}

const workgroupSizes = { subgroup: 128, workgroup: 64, serial: 32 } as const;

export const quantizeRows = defineKernel<QuantizeRowsParams>({
  name: "quantize-rows",
  doc: `int8 codes of rows by their largest magnitude, as bitnet.linear quantises them: s = 127 / max(max|y|, 1e-5), codes round_half_even(y · s), where y is x or, with a norm, x / √(mean(x²) + eps) · norm_scale.
x value f32 [rows, depth]; norm_scale constant f32 [depth]; codes value u32 [rows, 64 · blocksOf(depth)], element e in byte e % 4 of word e / 4, 0 beyond depth; row_scales value f32 [rows], s.`,
  class: "elementwise",
  build: ({ rows, depth, norm }, target) => {
    const workgroupSize = workgroupSizes[target.reduction];
    const stages = rowStages(target, {
      depth,
      norm,
      workgroupSize,
      row: "workgroup.x",
      result: {
        kind: "codes",
        store: (unit, words, units) => `codes[workgroup.x * ${units}u + ${unit}] = ${words};`,
        isShared: false,
        sum: false,
      },
    });
    return shader(target, {
      bindings: {
        ...rowBindings(depth, norm),
        codes: { type: `array<${unitType(target)}>`, access: "value" },
        row_scales: { type: "array<f32>", access: "value" },
      },
      workgroupSize,
      workgroups: [rows, 1, 1],
      declarations: stages.declarations,
      body: `
  ${stages.load}
  ${stages.finish}
  if (local == 0u) { row_scales[workgroup.x] = token_scale; }`,
    });
  },
});
