import type { Refusal } from "./refusal.ts";

/** Where nodes run, as plain data that JSON can hold. */
export interface PartitionReport {
  /** For webgpu, groups of nodes by the lowering that made them; for vulkan, nodes by where they run. */
  readonly groups: Readonly<Record<string, number>>;
  /** Nodes that are not for the GPU, and why. */
  readonly refused: readonly Refusal[];
}

/** How often each name is among some, in alphabetical order. */
export function countOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
