import type { PartitionedGraph } from "../backends/backend.ts";
import { countOf, type PartitionReport } from "../backends/partition-report.ts";
import { weightBytes } from "../backends/program-contents.ts";
import type { Diagnostic } from "../errors.ts";
import { type Graph, type Value, weightKindsOf } from "../ir/graph.ts";
import type { WeightKind } from "../ir/ops/op.ts";
import type { Phase } from "../passes/pass.ts";
import type { RuleReport } from "../passes/rule.ts";
import { elementCount } from "../tensor/tensor.ts";

/** What a compilation did; plain data that JSON can hold. */
export interface CompileReport {
  readonly phases: readonly PhaseReport[];
  /** Op name → count in the graph after the stateful phase. */
  readonly ops: Readonly<Record<string, number>>;
  readonly sizes: Sizes | undefined;
  /** What each fusion rule matched, and where it nearly did. */
  readonly rules: Readonly<Record<string, RuleReport>>;
  readonly metrics: Readonly<Record<string, number>>;
  /** Where nodes run, from the *partitioned* phase on, if the backend has a choice. */
  readonly partition: PartitionReport | undefined;
  readonly warnings: readonly Diagnostic[];
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

/** What a kind of weight counts as: a tied head as the embedding that it is, a scale with the codes that it scales. */
const countedAs = [
  ["ternary", "ternary"],
  ["ternary-scale", "ternary"],
  ["embedding", "embedding"],
  ["embedding-scale", "embedding"],
  ["norm", "norm"],
] as const satisfies readonly (readonly [WeightKind, keyof Sizes])[];

/**
 * Adds up the bytes of every constant of a graph, each once.
 * @param storedBytes how many a constant takes, where that is not what its type says
 */
export function measureSizes(graph: Graph, storedBytes?: PartitionedGraph["storedBytes"]): Sizes {
  const sizes = { ternary: 0, embedding: 0, norm: 0, other: 0 };
  const seen = new Set<Value>();
  let ternaryWeights = 0;
  for (const node of graph.nodes) {
    for (const operand of node.operands) {
      if (operand.def.kind !== "const" || seen.has(operand)) continue;
      seen.add(operand);
      const kinds = weightKindsOf(operand);
      const counted = countedAs.find(([kind]) => kinds.has(kind))?.[1] ?? "other";
      sizes[counted] += storedBytes?.(operand) ?? weightBytes(operand.def.data);
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
