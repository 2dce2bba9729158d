import type { Node } from "../../../ir/graph.ts";
import type { DType } from "../../../tensor/dtype.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";

/*
 * The reference computes in f64 and rounds once, at the end. Kernels round each of their results, which 16 bits are
 * too few for: these are widened before the first kernel, and the last result is rounded.
 */

const isHalf = (dtype: DType): boolean => dtype === "f16" || dtype === "bf16";

/** What to compute in where a result is of `dtype`. */
export const widened = (dtype: DType): DType => (isHalf(dtype) ? "f32" : dtype);

/** A tensor of 16-bit floats as f32, once for all that read it, and any other as it is. A state changes. */
export function wide(e: Emitter, x: PortableTensor): PortableTensor {
  if (!isHalf(x.dtype)) return x;
  if (x.storage.kind === "state") return e.cast(x, "f32");
  return e.once(`wide ${x.id}`, () => e.cast(x, "f32"));
}

/** For an op with one result, which `emit` may compute in a wider type. */
export const rounded = (
  emit: (e: Emitter, node: Node) => PortableTensor,
  refuse?: Decomposition["refuse"],
): Decomposition => one((e, node) => e.cast(emit(e, node), node.results[0]!.type.dtype), refuse);

/** Constants among what is computed are f32. */
export const refuseF64 =
  (...names: readonly string[]) =>
  (node: Node): string | undefined => {
    const wider = names.find((name) => node.optional(name)?.type.dtype === "f64");
    return wider === undefined ? undefined : `${wider} must be f32 or narrower, and is f64`;
  };
