import type { Node } from "../../ir/graph.ts";
import { type Q4Parts, q4Parts } from "../../ir/q4.ts";
import type { WeightRef } from "../../ir/weights.ts";

/** 32-bit elements that ExecuTorch lets one buffer have (backends/vulkan/utils.py, DEFAULT_BUFFER_LIMIT). */
export const mostBufferElements = 128 * 1024 * 1024;

/** @param elements in words of 32 bits, as the constant is stored */
export const refuseLarge = (name: string, elements: number): string | undefined =>
  elements > mostBufferElements
    ? `${name} has ${elements} elements, and a buffer of ExecuTorch's ${mostBufferElements}`
    : undefined;

/** A constant among a node's arguments. @throws Error where it is none; `needsConstants` says so before */
export const dataOf = (node: Node, name: string): WeightRef => {
  const { def } = node.arg(name);
  if (def.kind !== "const") throw new Error(`${name} is no constant`);
  return def.data;
};

export const shapeOf = (node: Node, name: string): readonly number[] => dataOf(node, name).shape;

export const q4Of = (node: Node, name: string): Q4Parts | undefined => q4Parts(dataOf(node, name));
