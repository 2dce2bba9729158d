import { type Dim, productOf } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import {
  forEachElement,
  memoryType,
  type Operand,
  operandBindings,
  operandFunctions,
  requireElementType,
  toMemory,
  unsupportedDType,
  wgslSigned,
} from "../../operands.ts";
import { shader, wgslSize } from "../../wgsl.ts";

export interface TriangleParams {
  readonly input: Operand;
  readonly upper: boolean;
  /** The diagonal: 0 is the main one, positive ones are above it. */
  readonly k: Dim;
}

export const triangle = defineKernel<TriangleParams>({
  name: "triangle",
  doc: "The op triangle: out is x with zeros below (upper) or above diagonal k of its last two axes; x as the operand is; out value of elements of 4 bytes.",
  class: "movement",
  supports: ({ input }) => unsupportedDType([input.dtype]),
  build({ input, upper, k }, target) {
    const type = requireElementType(input.dtype);
    const [rows, columns] = input.shape.slice(-2) as [Dim, Dim];
    const grid = forEachElement(
      productOf(input.shape),
      `let column = i32(index % ${wgslSize(columns)});
    let row = i32(index / ${wgslSize(columns)} % ${wgslSize(rows)});
    let diagonal = row + i32(${wgslSigned(k)});
    let value = select(${type}(), x_at(index), ${upper ? "column >= diagonal" : "column <= diagonal"});
    out[index] = ${toMemory(type, "value")};`,
    );
    return shader(target, {
      bindings: {
        ...operandBindings({ x: input }),
        out: { type: `array<${memoryType(type)}>`, access: "value" },
      },
      declarations: operandFunctions({ x: input }),
      ...grid,
    });
  },
});
