import { type Dim, productOf } from "../../../../tensor/dim.ts";
import type { DType } from "../../../../tensor/dtype.ts";
import { defineKernel } from "../../kernel.ts";
import {
  broadcastStrides,
  coordinates,
  forEachElement,
  isSameShape,
  memoryType,
  type Operand,
  offsetOf,
  operandBindings,
  operandFunctions,
  requireElementType,
  toMemory,
  unsupportedDType,
} from "../../operands.ts";
import { shader } from "../../wgsl.ts";
import { type ElementwiseAttrs, expressionOf } from "./expressions.ts";

export interface ElementwiseParams {
  /** Name of an op of the IR. */
  readonly op: string;
  /** In the order of the op's arguments, which is that of the bindings a, b and c. */
  readonly inputs: readonly Operand[];
  /** Of the result: that of all inputs broadcast. */
  readonly shape: readonly Dim[];
  readonly dtype: DType;
  readonly attrs: ElementwiseAttrs;
}

export const elementwise = defineKernel<ElementwiseParams>({
  name: "elementwise",
  doc: [
    "An op of the IR that works element by element, with broadcasting: the ops of ir/ops/elementwise.ts and nn.relu2, nn.silu, nn.gelu.",
    "Bindings a, b, c: the inputs in the op's order, those without sameAs; out value of the result's shape. Elements of 4 bytes: floats f32, i64 as i32, bool as u32.",
  ].join(" "),
  class: "elementwise",
  supports({ op, inputs, dtype, attrs }) {
    const dtypes = inputs.map((input) => input.dtype);
    const reason = unsupportedDType([...dtypes, dtype]);
    if (reason !== undefined) return reason;
    return expressionOf(op, dtypes, dtype, attrs) === undefined
      ? `there is no shader for ${op} of ${dtypes.join(" and ")}`
      : undefined;
  },
  build({ op, inputs, shape, dtype, attrs }, target) {
    const operands = Object.fromEntries(inputs.map((input, i) => ["abc"[i]!, input]));
    const expression = expressionOf(
      op,
      inputs.map((input) => input.dtype),
      dtype,
      attrs,
    );
    if (expression === undefined) throw new Error(`there is no shader for ${op}`);
    const type = requireElementType(dtype);
    const isDirect = inputs.every((input) => isSameShape(input.shape, shape));
    const reads = Object.entries(operands).map(([name, input]) => {
      const offset = isSameShape(input.shape, shape)
        ? "index"
        : offsetOf("at", broadcastStrides(input.shape, shape));
      return `let ${name} = ${name}_at(${offset});`;
    });
    const grid = forEachElement(
      productOf(shape),
      `${isDirect ? "" : coordinates("at", "index", shape)}
    ${reads.join("\n    ")}
    out[index] = ${toMemory(type, `(${expression.text})`)};`,
    );
    return shader(target, {
      bindings: {
        ...operandBindings(operands),
        out: { type: `array<${memoryType(type)}>`, access: "value" },
      },
      declarations: `${operandFunctions(operands)}\n${expression.declarations ?? ""}`,
      ...grid,
    });
  },
});
