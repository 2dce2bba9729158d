import type { Graph, Node, Value } from "../../ir/graph.ts";
import { type Dim, isSymbolic, maxOf, minOf, substituteDim, symbolsOf } from "../../tensor/dim.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { type SizeBounds, sizeSources } from "../sizes.ts";
import { mostBufferElements } from "./constants.ts";
import { lowerings } from "./lowerings/index.ts";
import type { Unit } from "./partition.ts";

/** Asks the lowering of a node whether it can be in a delegate, after what holds for every op. */
export class NodeChecks {
  readonly #known: ReadonlySet<string>;
  readonly #bounds: SizeBounds;

  constructor(graph: Graph, bounds: SizeBounds) {
    this.#known = new Set(sizeSources(graph).keys());
    this.#bounds = bounds;
  }

  /** @returns why not, as half a sentence */
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
  Object.entries(node.args).every(([name, arg]) => arg !== value || node.def.sizes?.includes(name)) &&
  node.operands.includes(value);

const needsExtremes = (size: Dim): boolean =>
  isSymbolic(size) &&
  size.terms.some(({ atoms }) =>
    atoms.some(
      (atom) =>
        atom.kind !== "symbol" &&
        (atom.kind === "max" || atom.kind === "min" || needsExtremes(atom.a) || needsExtremes(atom.b)),
    ),
  );
