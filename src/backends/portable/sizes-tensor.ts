import { inlineWeight } from "../../ir/weights.ts";
import { type Dim, isSymbolic } from "../../tensor/dim.ts";
import { tensor } from "../../tensor/tensor.ts";
import type { Emitter } from "./emitter.ts";
import { sequence } from "./positions.ts";
import type { PortableTensor } from "./value.ts";

/** Sizes as a tensor of i64: a constant, or computed where the program has to run for some of them. */
export function sizesTensor(e: Emitter, sizes: readonly Dim[], shape: readonly Dim[]): PortableTensor {
  if (!sizes.some(isSymbolic))
    return e.constant(inlineWeight(tensor("i64", shape as readonly number[], sizes as readonly number[])));
  const tensors = sizes.map((size) => sequence(e, size, 1));
  const type = { dtype: "i64", shape: [sizes.length] } as const;
  return e.view(tensors.length === 1 ? tensors[0]! : e.op("aten::cat.out", { tensors, dim: 0 }, type), shape);
}
