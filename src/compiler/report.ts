import type { Grouping, Refusal } from "../backends/webgpu/lowering/groups.ts";
import type { Diagnostic } from "../errors.ts";
import { type Graph, type Value, weightKindsOf } from "../ir/graph.ts";
import type { WeightKind } from "../ir/ops/op.ts";
import type { WeightRef } from "../ir/weights.ts";
import { packedRowBytes } from "../packing/index.ts";
import type { Phase } from "../passes/pass.ts";
import type { RuleReport } from "../passes/rule.ts";
import { isTernaryBlock } from "../tensor/dtype.ts";
import { byteLength, elementCount } from "../tensor/tensor.ts";

/** What a compilation did; plain data that JSON can hold. */
export interface CompileReport {
  readonly phases: readonly PhaseReport[];
  /** Op name → count in the graph after the stateful phase. */
  readonly ops: Readonly<Record<string, number>>;
  readonly sizes: Sizes | undefined;
  /** What each fusion rule matched, and where it nearly did. */
  readonly rules: Readonly<Record<string, RuleReport>>;
  readonly metrics: Readonly<Record<string, number>>;
  /** What the GPU computes together, from the *partitioned* phase on. */
  readonly partition: PartitionReport | undefined;
  readonly warnings: readonly Diagnostic[];
}

export interface PartitionReport {
  /** Groups of nodes by the lowering that made them. */
  readonly groups: Readonly<Record<string, number>>;
  /** Nodes that are not for the GPU, and why: the program then runs on the CPU. */
  readonly refused: readonly Refusal[];
}

export interface PhaseReport {
  readonly phase: Phase;
  readonly milliseconds: number;
  readonly nodes: number;
  /** SHA-256 of the graph's text without provenance. */
  readonly hash: string;
}

/** Bytes in the program by kind of weight. */
export interface Sizes {
  readonly ternary: number;
  readonly embedding: number;
  readonly norm: number;
  readonly other: number;
  readonly total: number;
  /** Bits that a ternary weight really takes, its scale and padding included; 0 when there is none. */
  readonly bitsPerTernaryWeight: number;
}

/** How many nodes of each op a graph has, by name in alphabetical order. */
export const countOps = ({ nodes }: Graph): Record<string, number> => countOf(nodes.map(({ op }) => op));

export const reportPartition = ({ groups, refusals }: Grouping): PartitionReport => ({
  groups: countOf(groups.map(({ name }) => name)),
  refused: refusals,
});

function countOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Bytes that a weight of a dtype and shape takes in a program. */
export const weightBytes = ({ dtype, shape }: Pick<WeightRef, "dtype" | "shape">): number =>
  isTernaryBlock(dtype)
    ? shape[0]! * packedRowBytes(dtype, shape[1]!)
    : byteLength(dtype, elementCount(shape));

/** What a kind of weight counts as: a tied head as the embedding that it is, a scale with the codes that it scales. */
const countedAs = [
  ["ternary", "ternary"],
  ["ternary-scale", "ternary"],
  ["embedding", "embedding"],
  ["embedding-scale", "embedding"],
  ["norm", "norm"],
] as const satisfies readonly (readonly [WeightKind, keyof Sizes])[];

/** Adds up the bytes of every constant of a graph, each once. */
export function measureSizes(graph: Graph): Sizes {
  const sizes = { ternary: 0, embedding: 0, norm: 0, other: 0 };
  const seen = new Set<Value>();
  let ternaryWeights = 0;
  for (const node of graph.nodes) {
    for (const operand of node.operands) {
      if (operand.def.kind !== "const" || seen.has(operand)) continue;
      seen.add(operand);
      const kinds = weightKindsOf(operand);
      const counted = countedAs.find(([kind]) => kinds.has(kind))?.[1] ?? "other";
      sizes[counted] += weightBytes(operand.def.data);
      if (kinds.has("ternary")) ternaryWeights += elementCount(operand.def.data.shape);
    }
  }
  const total = sizes.ternary + sizes.embedding + sizes.norm + sizes.other;
  return {
    ...sizes,
    total,
    bitsPerTernaryWeight: ternaryWeights === 0 ? 0 : (sizes.ternary * 8) / ternaryWeights,
  };
}
