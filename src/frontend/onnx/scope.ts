import type { Builder, Value } from "../../ir/graph.ts";
import type { OnnxAttributeValue, OnnxGraph, OnnxTensor } from "./model.ts";

/** A name whose value could not be imported: what depends on it is skipped, without a word of its own. */
export const failed = Symbol("failed");
/** An optional input of a function that the call leaves out. */
export const leftOut = Symbol("left out");
export type Binding = Value | typeof failed | typeof leftOut;

/** The names that nodes of one graph see: its own values, its initializers, and those of the graph around it. */
export class Scope {
  readonly #b: Builder;
  readonly #outer: Scope | undefined;
  readonly #bindings = new Map<string, Binding>();
  readonly #initializers: ReadonlyMap<string, OnnxTensor>;

  constructor(b: Builder, initializers: OnnxGraph["initializers"] = new Map(), outer?: Scope) {
    this.#b = b;
    this.#initializers = initializers;
    this.#outer = outer;
  }

  bind(name: string, binding: Binding): void {
    this.#bindings.set(name, binding);
  }

  /**
   * What a name stands for; undefined when nothing defines it. An initializer becomes a constant of the graph
   * when it is first asked for.
   * @throws BitnetcError when an initializer cannot be had
   */
  async find(name: string): Promise<Binding | undefined> {
    const bound = this.#bindings.get(name);
    if (bound !== undefined) return bound;
    const initializer = this.#initializers.get(name);
    if (initializer === undefined) return this.#outer?.find(name);
    this.#bindings.set(name, failed);
    const value = this.#b.constant(await initializer.weight());
    this.#bindings.set(name, value);
    return value;
  }
}

/** Where nodes stand: in the model's graph, or in a function that is being inlined. */
export interface Frame {
  readonly opsets: ReadonlyMap<string, number>;
  /** Attributes that `reference`s stand for. */
  readonly attributes: ReadonlyMap<string, OnnxAttributeValue>;
  /** Begins the places of the nodes: the places of the calls around them. */
  readonly prefix: string;
  /** Functions that are being inlined. */
  readonly calls: readonly string[];
}
