import type { Graph, Node, Value } from "../../../ir/graph.ts";
import type { Emitter } from "./emitter.ts";

/** Nodes that are computed together, and how. */
export interface Group {
  /** Of the lowering that made it. */
  readonly name: string;
  /** The values between them are never in memory. */
  readonly nodes: readonly Node[];
  /** Values that it takes as parts of wider rows too. */
  readonly takesRows: ReadonlySet<Value>;
  emit(emitter: Emitter): void;
}

/** A way to compute nodes on the GPU. */
export interface Lowering {
  readonly name: string;
  /** What it computes in how many dispatches. */
  readonly doc: string;
  /** The group that ends with a node, or why this node is none's end: nothing to say, or a sentence for the user. */
  match(node: Node, matching: Matching): Group | string | undefined;
}

/** A node that is computed on its own. */
export const groupOfOne = (name: string, node: Node, emit: Group["emit"]): Group => ({
  name,
  nodes: [node],
  takesRows: new Set(),
  emit,
});

/** What lowerings may ask of a graph while nodes are put into groups. */
export class Matching {
  readonly #outputs: ReadonlySet<Value>;
  readonly #claimed = new Map<Node, Group>();
  readonly #takesRows = new Set<Value>();
  readonly graph: Graph;

  constructor(graph: Graph) {
    this.graph = graph;
    this.#outputs = new Set(graph.outputs.map(({ value }) => value));
  }

  /** Whether nobody but these nodes uses a value. */
  isPrivate(value: Value, nodes: readonly Node[]): boolean {
    return !this.#outputs.has(value) && [...value.users].every((user) => nodes.includes(user));
  }

  /** The only node that uses a value; undefined when there are more, or it is an output. */
  soleUser(value: Value): Node | undefined {
    const [user] = value.users;
    return user !== undefined && this.isPrivate(value, [user]) ? user : undefined;
  }

  /** The node that computes a value for one user, not yet in any group. */
  producer(value: Value | undefined, op: string): Node | undefined {
    const node = value?.node;
    return node?.op === op && !this.isClaimed(node) && this.soleUser(value!) !== undefined ? node : undefined;
  }

  /** Whether a value may be a part of wider rows, since the one group that uses it can read it there. */
  takesRows(value: Value): boolean {
    return this.#takesRows.has(value) && !this.#outputs.has(value);
  }

  isClaimed(node: Node): boolean {
    return this.#claimed.has(node);
  }

  groupOf(node: Node): Group | undefined {
    return this.#claimed.get(node);
  }

  claim(group: Group): void {
    for (const node of group.nodes) {
      if (this.#claimed.has(node)) throw new Error(`${node.op} is in ${group.name} and in another group`);
      this.#claimed.set(node, group);
    }
    for (const value of group.takesRows)
      if ([...value.users].every((user) => group.nodes.includes(user))) this.#takesRows.add(value);
  }

  /** All groups, each after those that compute what it uses. */
  inOrder(): readonly Group[] {
    const done = new Set<Group>();
    const order: Group[] = [];
    const visit = (group: Group): void => {
      if (done.has(group)) return;
      done.add(group);
      for (const node of group.nodes)
        for (const { node: before } of node.operands) {
          const other = before && this.#claimed.get(before);
          if (other !== undefined && other !== group) visit(other);
        }
      order.push(group);
    };
    for (const node of this.graph.nodes) {
      const group = this.#claimed.get(node);
      if (group !== undefined) visit(group);
    }
    return order;
  }
}
