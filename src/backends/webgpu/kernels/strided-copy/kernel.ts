import { type Dim, productOf } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import {
  coordinates,
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
import { shader } from "../../wgsl.ts";

/** Where elements lie: element (i0, i1, …) at offset + Σ iₖ · strides[k]. Strides may be negative. */
export interface Layout {
  readonly offset: Dim;
  readonly strides: readonly Dim[];
}

export interface StridedCopyParams {
  readonly input: Operand;
  /** Elements that are copied, along each axis. */
  readonly shape: readonly Dim[];
  readonly from: Layout;
  readonly to: Layout;
}

const position = ({ offset, strides }: Layout): string =>
  [
    wgslSigned(offset),
    ...strides.flatMap((size, axis) => (size === 0 ? [] : [`at${axis} * ${wgslSigned(size)}`])),
  ].join(" + ");

export const stridedCopy = defineKernel<StridedCopyParams>({
  name: "strided-copy",
  doc: "Elements of x to elements of out, each by strides: transpose, expand, slice, and concat input by input (see layouts.ts). x as the operand is; out value of elements of 4 bytes.",
  class: "movement",
  supports: ({ input }) => unsupportedDType([input.dtype]),
  build({ input, shape, from, to }, target) {
    const type = requireElementType(input.dtype);
    const grid = forEachElement(
      productOf(shape),
      `${coordinates("at", "index", shape)}
    let value = x_at(${position(from)});
    out[${position(to)}] = ${toMemory(type, "value")};`,
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
