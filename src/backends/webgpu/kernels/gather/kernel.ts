import { productOf } from "../../../../tensor/dim.ts";
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
} from "../../operands.ts";
import { shader, wgslSize } from "../../wgsl.ts";

export interface GatherParams {
  readonly x: Operand;
  /** i32 or i64. */
  readonly indices: Operand;
  /** Of x, counted from 0. */
  readonly axis: number;
}

export const gather = defineKernel<GatherParams>({
  name: "gather",
  doc: "The op gather: out [… , indices' shape, …] = x at the indices along one axis; negative ones count from the end, those outside give the nearest element. x and indices as the operands are; out value of elements of 4 bytes.",
  class: "movement",
  supports: ({ x, indices }) => unsupportedDType([x.dtype, indices.dtype]),
  build({ x, indices, axis }, target) {
    const type = requireElementType(x.dtype);
    const operands = { x, indices };
    const inner = wgslSize(productOf(x.shape.slice(axis + 1)));
    const count = wgslSize(productOf(indices.shape));
    const size = wgslSize(x.shape[axis]!);
    const grid = forEachElement(
      productOf([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)]),
      `let which = index / ${inner};
    let given = i32(indices_at(which % ${count}));
    let size = i32(${size});
    let chosen = u32(clamp(select(given, given + size, given < 0), 0, size - 1));
    let value = x_at((which / ${count} * ${size} + chosen) * ${inner} + index % ${inner});
    out[index] = ${toMemory(type, "value")};`,
    );
    return shader(target, {
      bindings: {
        ...operandBindings(operands),
        out: { type: `array<${memoryType(type)}>`, access: "value" },
      },
      declarations: operandFunctions(operands),
      ...grid,
    });
  },
});
