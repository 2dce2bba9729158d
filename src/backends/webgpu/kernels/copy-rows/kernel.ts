import { ceilDivideDims, type Dim } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import { shader, wgslSize } from "../../wgsl.ts";

export interface CopyRowsParams {
  /** Rows that are copied. */
  readonly rows: Dim;
  /** Elements of a row. */
  readonly width: number;
  /** The first row of x that is. */
  readonly first: Dim;
}

const workgroupSize = 64;

export const copyRows = defineKernel<CopyRowsParams>({
  name: "copy-rows",
  doc: "out = rows first … first + rows - 1 of x; x value [… , width], out value [rows, width], both of elements of 4 bytes.",
  class: "movement",
  build({ rows, width, first }, target) {
    const type = width % 4 === 0 ? "vec4<u32>" : "u32";
    const steps = width % 4 === 0 ? width / 4 : width;
    return shader(target, {
      bindings: {
        x: { type: `array<${type}>`, access: "value" },
        out: { type: `array<${type}>`, access: "value" },
      },
      workgroupSize,
      workgroups: [ceilDivideDims(steps, workgroupSize), rows, 1],
      body: `
  let i = workgroup.x * ${workgroupSize}u + local;
  if (i < ${steps}u) { out[workgroup.y * ${steps}u + i] = x[(${wgslSize(first)} + workgroup.y) * ${steps}u + i]; }`,
    });
  },
});
