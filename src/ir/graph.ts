import type { Dim } from "../tensor/dim.ts";
import { type Builder, makeBuilder } from "./builder.ts";
import type { OpRegistry } from "./ops/index.ts";
import type { TensorType } from "./type.ts";
import { type Def, type Node, Value } from "./value.ts";

export type { Builder } from "./builder.ts";
export {
  type Arg,
  type ArgRecord,
  type Def,
  isList,
  type Loc,
  Node,
  sameValueType,
  Value,
  weightArgs,
  weightKindsOf,
} from "./value.ts";

/**
 * An SSA graph: inputs, states, outputs and what connects them. There are no nested regions, and no dead
 * nodes: the nodes of a graph are those that its outputs and its writes to states depend on.
 */
export class Graph {
  readonly ops: OpRegistry;
  readonly #inputs: Value[] = [];
  readonly #states: Value[] = [];
  readonly #outputs: { name: string; value: Value }[] = [];
  readonly #effects = new Set<Node>();
  #order: readonly Node[] | undefined;
  #nextId = 0;

  constructor(ops: OpRegistry) {
    this.ops = ops;
  }
  get inputs(): readonly Value[] {
    return this.#inputs;
  }
  get states(): readonly Value[] {
    return this.#states;
  }
  get outputs(): readonly { readonly name: string; readonly value: Value }[] {
    return this.#outputs;
  }

  /**
   * Nodes in execution order: depth first from the outputs, then from the writes to states in the order of the
   * states, arguments in order. The order follows from the structure alone, so two graphs with the same
   * structure list their nodes in the same order.
   * @throws Error when a node depends on itself
   */
  get nodes(): readonly Node[] {
    this.#order ??= this.#topologicalOrder();
    return this.#order;
  }

  /** The only way to change a graph. `by` names the pass or rule, for provenance. */
  edit(by: string): Builder {
    return makeBuilder(this, by);
  }

  #topologicalOrder(): readonly Node[] {
    const order: Node[] = [];
    const entered = new Set<Node>();
    const left = new Set<Node>();
    const stateOf = (node: Node) => this.#states.indexOf(node.arg(node.def.mutates!));
    const effects = [...this.#effects].sort((a, b) => stateOf(a) - stateOf(b));
    for (const root of [...this.#outputs.map(({ value }) => value.node), ...effects]) {
      if (root === undefined) continue;
      const stack = [root];
      while (stack.length > 0) {
        const node = stack[stack.length - 1]!;
        if (left.has(node)) {
          stack.pop();
        } else if (entered.has(node)) {
          stack.pop();
          left.add(node);
          order.push(node);
        } else {
          entered.add(node);
          const operands = node.operands;
          for (let i = operands.length - 1; i >= 0; i--) {
            const before = operands[i]!.node;
            if (before === undefined || left.has(before)) continue;
            if (entered.has(before)) throw new Error(`${node.op} depends on itself`);
            stack.push(before);
          }
        }
      }
    }
    return order;
  }

  /** @internal How many values have ever been made: it grows when something is built. */
  get valueCount(): number {
    return this.#nextId;
  }

  // What follows is for the builder.
  /** @internal */
  newValue(type: TensorType, def: Def, contents?: readonly Dim[]): Value {
    return new Value(this.#nextId++, type, def, contents);
  }
  /** @internal */
  changed(): void {
    this.#order = undefined;
  }
  /** @internal */
  get mutable() {
    return { inputs: this.#inputs, states: this.#states, outputs: this.#outputs, effects: this.#effects };
  }
}
