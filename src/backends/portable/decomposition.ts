import type { Node } from "../../ir/graph.ts";
import type { Emitter } from "./emitter.ts";
import type { PortableTensor } from "./value.ts";

/** How an op is computed by the portable kernels. */
export interface Decomposition {
  /** A sentence saying why this node cannot be; without it every node can. */
  refuse?(node: Node): string | undefined;
  /** The symbol of a size of its results that no input tells: running it does. */
  measures?(node: Node): string;
  /** @returns the tensors of the node's results */
  emit(e: Emitter, node: Node): readonly PortableTensor[];
}

/** For an op with one result. */
export const one = (
  emit: (e: Emitter, node: Node) => PortableTensor,
  refuse?: Decomposition["refuse"],
): Decomposition => ({ emit: (e, node) => [emit(e, node)], ...(refuse && { refuse }) });

/** Kernels compute in the dtype of their operands, and only f32 is what the reference rounds to. */
export const needsF32 =
  (...names: readonly string[]) =>
  (node: Node): string | undefined => {
    const other = names.find((name) => {
      const dtype = node.optional(name)?.type.dtype;
      return dtype !== undefined && dtype !== "f32";
    });
    return other === undefined ? undefined : `${other} must be f32, and is ${node.arg(other).type.dtype}`;
  };
