import type { Node } from "../../ir/graph.ts";
import { f32 } from "../../ir/type.ts";
import type { Emitter } from "./emitter.ts";
import type { VulkanTensor } from "./value.ts";

/** How an op is computed by the ops of ExecuTorch's Vulkan backend. */
export interface VulkanLowering {
  /** It multiplies matrices or attends: worth a delegate. */
  readonly isHeavy?: boolean;
  /** A sentence saying why this node cannot be; without it every node can. */
  refuse?(node: Node): string | undefined;
  /** Writes the calls and binds the node's results. */
  emit(e: Emitter, node: Node): void;
}

/** For an op whose only result is a tensor. */
export const one = (
  emit: (e: Emitter, node: Node) => VulkanTensor,
  refuse?: VulkanLowering["refuse"],
): VulkanLowering => ({
  emit: (e, node) => e.bind(node.results[0]!, emit(e, node)),
  ...(refuse && { refuse }),
});

/** Likewise, of an op that is worth a delegate. */
export const heavy = (...lowering: Parameters<typeof one>): VulkanLowering => ({
  ...one(...lowering),
  isHeavy: true,
});

/** The type of a node's first result: tensors that a delegate computes are f32. */
export const resultType = (node: Node) => f32(node.results[0]!.type.shape);

/** That arguments, where they are given, are constants. */
export const needsConstants =
  (...names: readonly string[]) =>
  (node: Node): string | undefined => {
    const other = names.find((name) => node.optional(name) && node.arg(name).def.kind !== "const");
    return other === undefined ? undefined : `${other} must be a constant`;
  };
