import type { Dim } from "../../../../tensor/dim.ts";
import {
  type Rotary,
  type Rows,
  refusalOfRotary,
  rotarySizes,
  rowReader,
  rowStart,
  stridesOf,
  tableType,
  vectorType,
  vectorWidth,
} from "../../attention.ts";
import { defineKernel } from "../../kernel.ts";
import { shader } from "../../wgsl.ts";

export interface RopeParams {
  readonly tokens: Dim;
  readonly heads: number;
  /** D. */
  readonly width: number;
  readonly rope: Rotary;
  readonly x: Rows;
  readonly out: Rows;
}

const workgroupSize = 128;

export const rope = defineKernel<RopeParams>({
  name: "rope",
  doc: "nn.rope: the first R of D elements of each head rotated in pairs, the others copied. x, out f32 rows of heads; cos, sin f32 [T, R/2], of which row first + s serves token s.",
  class: "elementwise",
  supports: (params) => refusalOfRotary(params.rope, params.width),
  build: (params, target) => {
    const { tokens, heads, width } = params;
    const vector = vectorWidth(
      width,
      ...rotarySizes(params.rope),
      ...stridesOf(params.x),
      ...stridesOf(params.out),
    );
    const type = vectorType(vector);
    const table = tableType(params.rope, vector);
    const units = width / vector;
    return shader(target, {
      bindings: {
        x: { type: `array<${type}>`, access: "value" },
        cos: { type: `array<${table}>`, access: "constant" },
        sin: { type: `array<${table}>`, access: "constant" },
        out: { type: `array<${type}>`, access: "value" },
      },
      workgroupSize,
      workgroups: [Math.ceil((heads * units) / workgroupSize), tokens, 1],
      declarations: rowReader({
        name: "rotated",
        binding: "x",
        normScale: "",
        vector,
        width,
        rope: params.rope,
        norm: undefined,
      }),
      body: `
  let i = workgroup.x * ${workgroupSize}u + local;
  if (i >= ${heads * units}u) { return; }
  let unit = i % ${units}u;
  let head = i / ${units}u;
  let token = workgroup.y;
  out[${rowStart(params.out, vector, "token", "head")} + unit] =
    rotated(${rowStart(params.x, vector, "token", "head")}, unit, token, 1.0);`,
    });
  },
});
