import { collapse, contiguousStrides, type Walk } from "./strides.ts";

/** NumPy's broadcasting: shapes aligned at their last axis, sizes of 1 stretched. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const shift = rank - shape.length;
    for (let i = 0; i < shape.length; i++) {
      const size = shape[i]!;
      if (size === 1) continue;
      if (result[shift + i] !== 1 && result[shift + i] !== size)
        throw new RangeError(
          `Shapes ${shapes.map((s) => `[${s.join(", ")}]`).join(" and ")} do not broadcast.`,
        );
      result[shift + i] = size;
    }
  }
  return result;
}

/** Strides that read a dense tensor of one shape as if it had been broadcast to another. */
export function broadcastStrides(shape: readonly number[], to: readonly number[]): number[] {
  const strides = contiguousStrides(shape);
  const shift = to.length - shape.length;
  return to.map((_, i) => (i < shift || shape[i - shift] === 1 ? 0 : strides[i - shift]!));
}

/** The shape that dense tensors broadcast to, and the walk that visits them together. */
export function planBroadcast(shapes: readonly (readonly number[])[]): {
  readonly shape: readonly number[];
  readonly walk: Walk;
} {
  const shape = broadcastShapes(...shapes);
  const strides = shapes.map((each) => broadcastStrides(each, shape));
  return { shape, walk: collapse(shape, strides) };
}
