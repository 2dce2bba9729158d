import { isList, type Node, type Value } from "../../ir/graph.ts";
import { isStatic } from "../../ir/type.ts";
import { elementCount, type Tensor, tensor } from "../../tensor/tensor.ts";

/** Larger values are data, not settings. */
const elementLimit = 1 << 14;

type Known = Tensor | undefined;

/**
 * Computes values that depend on nothing but small constants and sizes that are numbers, with the reference
 * kernels. Exporters spell axes, shapes and conditions as chains of ops; shape inference needs their elements.
 */
export class ConstantEvaluator {
  readonly #known = new Map<Node, readonly Tensor[] | undefined>();

  /** The value's elements, where they can be known and are few. */
  evaluate(value: Value): Known {
    const pending = value.node === undefined ? [] : [value.node];
    for (let node = pending.at(-1); node !== undefined; node = pending.at(-1)) {
      const before = this.#known.has(node) ? [] : this.#unvisited(node);
      if (before.length > 0) {
        pending.push(...before);
        continue;
      }
      pending.pop();
      if (!this.#known.has(node)) this.#known.set(node, this.#compute(node));
    }
    return this.#elements(value);
  }

  /** Nodes to be computed before this one; none if this one need not be computed at all. */
  #unvisited(node: Node): readonly Node[] {
    if (!isComputable(node)) return [];
    const before: Node[] = [];
    for (const operand of node.operands) {
      if (operand.node === undefined || this.#known.has(operand.node)) {
        if (this.#elements(operand) === undefined) return [];
      } else if (knownContents(operand) === undefined) before.push(operand.node);
    }
    return before;
  }

  #compute(node: Node): readonly Tensor[] | undefined {
    if (!isComputable(node)) return undefined;
    const args: Record<string, Tensor | readonly Tensor[]> = {};
    for (const [name, arg] of Object.entries(node.args)) {
      if (arg === undefined) continue;
      const elements: Tensor[] = [];
      for (const operand of isList(arg) ? arg : [arg]) {
        const known = this.#elements(operand);
        if (known === undefined) return undefined;
        elements.push(known);
      }
      args[name] = isList(arg) ? elements : elements[0]!;
    }
    try {
      return node.def.kernel(args as Parameters<typeof node.def.kernel>[0], node.attrs);
    } catch (error) {
      // Elements that a kernel refuses (an index out of range) fail when the program runs, if it gets that far.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #elements(value: Value): Known {
    const contents = knownContents(value);
    if (contents !== undefined) return contents;
    if (value.def.kind === "const") return value.def.data.inline;
    return value.def.kind === "node" ? this.#known.get(value.def.node)?.[value.def.index] : undefined;
  }
}

function isComputable(node: Node): boolean {
  return (
    node.def.mutates === undefined &&
    node.results.every(({ type }) => isStatic(type.shape) && elementCount(type.shape) <= elementLimit)
  );
}

function knownContents(value: Value): Known {
  const { contents, type } = value;
  if (contents === undefined || !isStatic(contents) || !isStatic(type.shape)) return undefined;
  return tensor(type.dtype, type.shape, contents);
}

/** Names of the graph's inputs that a value depends on. */
export function inputsBehind(value: Value): ReadonlySet<string> {
  const names = new Set<string>();
  const seen = new Set<Node>();
  const pending = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.def.kind === "input") names.add(next.def.name);
    if (next.def.kind !== "node" || seen.has(next.def.node)) continue;
    seen.add(next.def.node);
    pending.push(...next.def.node.operands);
  }
  return names;
}
