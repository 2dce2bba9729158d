import type { Dim } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import { forEachElement, wgslSigned } from "../../operands.ts";
import { shader } from "../../wgsl.ts";

export interface RangeParams {
  readonly start: Dim;
  readonly delta: number;
  readonly length: Dim;
}

export const range = defineKernel<RangeParams>({
  name: "range",
  doc: "The op range of integers: out value i32 [length] = start, start + delta, ….",
  class: "elementwise",
  build({ start, delta, length }, target) {
    const element = `i32(${wgslSigned(start)} + index * ${wgslSigned(delta)})`;
    return shader(target, {
      bindings: { out: { type: "array<i32>", access: "value" } },
      ...forEachElement(length, `out[index] = ${element};`),
    });
  },
});
