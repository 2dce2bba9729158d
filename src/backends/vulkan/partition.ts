import type { Graph, Node, Value } from "../../ir/graph.ts";
import { type Dim, isSymbolic, maxOf, minOf, substituteDim, symbolsOf } from "../../tensor/dim.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { type CachedAttention, cachedAttentions } from "../cached-attention.ts";
import type { Refusal } from "../refusal.ts";
import { type SizeBounds, sizeSources } from "../sizes.ts";
import { mostBufferElements } from "./constants.ts";
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
  const check = new GenericChecks(graph, bounds);
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
    for (const node of nodes) {
      const unit: Unit = why === undefined ? { nodes, attention } : { nodes: [node] };
      if (why === undefined) for (const each of nodes) unitOf.set(each, unit);
      else {
        unitOf.set(node, unit);
        reasons.set(unit, why);
      }
      if (why === undefined) break;
    }
  }
  return [...new Set(graph.nodes.map((node) => unitOf.get(node) ?? { nodes: [node] }))];
}

/** What holds for every op. */
class GenericChecks {
  readonly #known: ReadonlySet<string>;
  readonly #bounds: SizeBounds;

  constructor(graph: Graph, bounds: SizeBounds) {
    this.#known = new Set(sizeSources(graph).keys());
    this.#bounds = bounds;
  }

  refuse({ nodes, attention }: Unit): string | undefined {
    for (const node of nodes) {
      const lowering = lowerings.get(node.op);
      if (lowering === undefined && attention === undefined) return "no op of the GPU backends computes it";
      const why = this.#refuseTypes(node) ?? (attention === undefined ? lowering!.refuse?.(node) : undefined);
      if (why !== undefined) return why;
    }
    return undefined;
  }

  #refuseTypes(node: Node): string | undefined {
    for (const value of [...node.operands, ...node.results]) {
      const why = value.def.kind === "dims" || isSize(node, value) ? undefined : this.#refuseType(value);
      if (why !== undefined) return why;
    }
    return undefined;
  }

  #refuseType({ type: { dtype, shape }, def }: Value): string | undefined {
    const isInput = def.kind === "input" && dtype === "i64";
    const isWeight = def.kind === "const" && ["f32", "f16", "bf16", "i8"].includes(dtype);
    if (dtype !== "f32" && !isInput && !isWeight) return `tensors of ${dtype} are not for the GPU backends`;
    if (shape.length > 4) return `it has ${shape.length} axes, and GPU tensors four at most`;
    if (shape.length === 0 && def.kind !== "const") return "GPU tensors have an axis at least";
    if (shape.some((size) => minOf(size) === 0))
      return "tensors without elements are not for the GPU backends";
    const unknown = shape.flatMap((size) => [...symbolsOf(size)]).find((name) => !this.#known.has(name));
    if (unknown !== undefined) return `no input says what the size ${unknown} is`;
    if (shape.some(needsExtremes)) return "no op computes the larger or smaller of two sizes";
    const elements = elementCount(shape.map((size) => maxOf(substituteDim(size, this.#bounds))));
    if (def.kind !== "const" && elements > mostBufferElements)
      return `it may have ${elements} elements, and a buffer of ExecuTorch's ${mostBufferElements}`;
    return undefined;
  }
}

/** Whether a node takes what a value holds as sizes alone, so that there is no tensor of them. */
const isSize = (node: Node, value: Value): boolean =>
  value.contents !== undefined &&
  Object.entries(node.args).every(([name, arg]) => arg !== value || sizeArgs.has(name)) &&
  node.operands.includes(value);
const sizeArgs: ReadonlySet<string> = new Set(["shape", "starts", "ends", "start_pos"]);

const needsExtremes = (size: Dim): boolean =>
  isSymbolic(size) &&
  size.terms.some(({ atoms }) =>
    atoms.some(
      (atom) =>
        atom.kind !== "symbol" &&
        (atom.kind === "max" || atom.kind === "min" || needsExtremes(atom.a) || needsExtremes(atom.b)),
    ),
  );

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
