import { type Dim, productOf } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import {
  coordinates,
  elementType,
  forEachRow,
  type Operand,
  offsetOf,
  operandBindings,
  operandFunctions,
  stridesOf,
  unsupportedDType,
} from "../../operands.ts";
import { laneArguments, workgroupReduction } from "../../reduce.ts";
import { shader, wgslSize } from "../../wgsl.ts";

export const reduceKernelOps = ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min"] as const;

export interface ReduceParams {
  readonly op: (typeof reduceKernelOps)[number];
  readonly input: Operand;
  /** Counted from 0; not empty. */
  readonly axes: readonly number[];
}

const limits = {
  f32: ["-3.4028234e38", "3.4028234e38"],
  i32: ["-2147483647 - 1", "2147483647"],
} as const;

export const reduce = defineKernel<ReduceParams>({
  name: "reduce",
  doc: "reduce_sum, reduce_mean, reduce_max and reduce_min over some axes; x as the operand is, of floats or signed integers; out value with one element of 4 bytes for each place along the other axes. Sums in f32.",
  class: "elementwise",
  supports({ op, input }) {
    const type = elementType(input.dtype);
    if (type === undefined) return unsupportedDType([input.dtype]);
    if (type !== "f32" && type !== "i32") return `there is no shader for ${op} of ${input.dtype}`;
    return undefined;
  },
  build({ op, input, axes }, target) {
    const type = elementType(input.dtype) === "i32" ? "i32" : "f32";
    const workgroupSize = target.reduction === "serial" ? 8 : 64;
    const combine = op === "reduce_max" || op === "reduce_min" ? "max" : "add";
    // the smallest is the largest of what is in the opposite order
    const turned = (value: string) =>
      op !== "reduce_min" ? value : type === "i32" ? `~(${value})` : `-(${value})`;
    const strides = stridesOf(input.shape);
    const isReduced = input.shape.map((_, axis) => axes.includes(axis));
    const pick = (values: readonly Dim[], reduced: boolean) =>
      values.filter((_, axis) => isReduced[axis] === reduced);
    const count = productOf(pick(input.shape, true));
    const empty = combine === "add" ? `${type}()` : turned(limits[type][op === "reduce_max" ? 0 : 1]);
    const mean = type === "i32" ? `/ i32(${wgslSize(count)})` : `/ f32(${wgslSize(count)})`;
    const grid = forEachRow(
      productOf(pick(input.shape, false)),
      `${coordinates("kept", "row", pick(input.shape, false))}
    let first = ${offsetOf("kept", pick(strides, false))};
    var part = ${empty};
    for (var i = local; i < ${wgslSize(count)}; i += ${workgroupSize}u) {
      ${coordinates("at", "i", pick(input.shape, true))}
      let value = ${turned(`x_at(first + ${offsetOf("at", pick(strides, true))})`)};
      part = ${combine === "add" ? "part + value" : "max(part, value)"};
    }
    let result = combine_all(part, ${laneArguments(target)});
    if (local == 0u) { out[row] = ${turned("result")}${op === "reduce_mean" ? mean : ""}; }`,
    );
    return shader(target, {
      bindings: {
        ...operandBindings({ x: input }),
        out: { type: `array<${type}>`, access: "value" },
      },
      workgroupSize,
      declarations: `${operandFunctions({ x: input })}
${workgroupReduction(target, { name: "combine_all", type, combine }, workgroupSize)}`,
      ...grid,
    });
  },
});
