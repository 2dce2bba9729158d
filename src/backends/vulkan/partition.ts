import type { Graph, Node } from "../../ir/graph.ts";
import { type Dim, substituteDim } from "../../tensor/dim.ts";
import { type CachedAttention, cachedAttentions } from "../cached-attention.ts";
import type { Refusal } from "../refusal.ts";
import type { SizeBounds } from "../sizes.ts";
import { NodeChecks } from "./checks.ts";
import { refuseCached } from "./lowerings/attention.ts";
import { lowerings } from "./lowerings/index.ts";

/** What a delegate computes at once: a node, or attention over caches with the writing of these. */
export interface Unit {
  readonly nodes: readonly Node[];
  readonly attention?: CachedAttention;
}

/** A stretch of a method: what one delegate computes, or nodes for kernels outside. */
export interface Stretch {
  readonly isDelegated: boolean;
  readonly units: readonly Unit[];
}

export interface Partition {
  /** In execution order. */
  readonly stretches: readonly Stretch[];
  /** Nodes outside of delegates, and why. */
  readonly refusals: readonly Refusal[];
}

/**
 * Splits a graph into stretches that run one after another, as few as there can be while delegates take all that they
 * can compute. The graph stays as it is.
 */
export function partitionGraph(graph: Graph, bounds: SizeBounds): Partition {
  const reasons = new Map<Unit, string>();
  const units = unitsOf(graph, bounds, reasons);
  const check = new NodeChecks(graph, bounds);
  for (const unit of units) {
    const why = reasons.get(unit) ?? check.refuse(unit);
    if (why !== undefined) reasons.set(unit, why);
  }
  const dependencies = dependenciesOf(graph, units);
  const candidates = [true, false].map((first) => schedule(units, dependencies, reasons, first));
  const [a, b] = candidates as [readonly Stretch[], readonly Stretch[]];
  const stretches = (a.length <= b.length ? a : b).map((stretch) => worthwhile(stretch, reasons));
  return {
    stretches,
    refusals: units.flatMap((unit) =>
      reasons.has(unit)
        ? unit.nodes.map(({ op, loc }) => ({ op, source: loc.source, why: reasons.get(unit)! }))
        : [],
    ),
  };
}

/** Attention over caches that a delegate cannot have falls apart into its nodes. */
function unitsOf(graph: Graph, bounds: SizeBounds, reasons: Map<Unit, string>): readonly Unit[] {
  const bounded = (size: Dim) => substituteDim(size, bounds);
  const unitOf = new Map<Node, Unit>();
  for (const attention of cachedAttentions(graph)) {
    const nodes = [...attention.updates, attention.attention];
    const why = refuseCached(attention, bounded);
    const units: readonly Unit[] =
      why === undefined ? [{ nodes, attention }] : nodes.map((node) => ({ nodes: [node] }));
    for (const unit of units) {
      for (const node of unit.nodes) unitOf.set(node, unit);
      if (why !== undefined) reasons.set(unit, why);
    }
  }
  return [...new Set(graph.nodes.map((node) => unitOf.get(node) ?? { nodes: [node] }))];
}

/** The units that each unit comes after: those that make its operands. A state is read through its only writer. */
function dependenciesOf(graph: Graph, units: readonly Unit[]): ReadonlyMap<Unit, ReadonlySet<Unit>> {
  const unitOf = new Map(units.flatMap((unit) => unit.nodes.map((node) => [node, unit] as const)));
  const dependencies = new Map(units.map((unit) => [unit, new Set<Unit>()]));
  for (const node of graph.nodes) {
    const unit = unitOf.get(node)!;
    const before = dependencies.get(unit)!;
    for (const operand of node.operands)
      if (operand.node !== undefined) before.add(unitOf.get(operand.node)!);
    before.delete(unit);
  }
  return dependencies;
}

/** Takes all units of one kind that are ready, then all of the other, and so on. */
function schedule(
  units: readonly Unit[],
  dependencies: ReadonlyMap<Unit, ReadonlySet<Unit>>,
  reasons: ReadonlyMap<Unit, string>,
  delegatedFirst: boolean,
): readonly Stretch[] {
  const done = new Set<Unit>();
  const stretches: Stretch[] = [];
  let isDelegated = delegatedFirst;
  while (done.size < units.length) {
    const taken: Unit[] = [];
    let before: number;
    do {
      before = taken.length;
      for (const unit of units) {
        const isReady = !done.has(unit) && [...dependencies.get(unit)!].every((each) => done.has(each));
        if (!isReady || reasons.has(unit) === isDelegated) continue;
        taken.push(unit);
        done.add(unit);
      }
      // A unit of several nodes may come before what its last ones need.
    } while (taken.length > before);
    if (taken.length > 0) stretches.push({ isDelegated, units: taken });
    isDelegated = !isDelegated;
  }
  return stretches;
}

/** Ops that multiply matrices, or attend. Without one the way to the device and back takes longer than the rest. */
const isHeavy = ({ nodes }: Unit): boolean => nodes.some(({ op }) => lowerings.get(op)?.isHeavy === true);

function worthwhile(stretch: Stretch, reasons: Map<Unit, string>): Stretch {
  if (!stretch.isDelegated || stretch.units.some(isHeavy)) return stretch;
  for (const unit of stretch.units)
    reasons.set(unit, "what is around it is not for a delegate, and it would be one of its own");
  return { ...stretch, isDelegated: false };
}
