import type { Dim } from "../tensor/dim.ts";
import type { OpName } from "./ops/index.ts";
import type { Args, AttrValue, OpDef } from "./ops/op.ts";
import type { TensorType } from "./type.ts";
import type { WeightRef } from "./weights.ts";

/** Where a node comes from: its place in the model, and the rules that rewrote it since. */
export interface Loc {
  /** `onnx:/layers.0/mlp/Mul_3`, `hf:model.layers.0.mlp.down_proj` */
  readonly source: string;
  readonly by: readonly string[];
}

export type Def =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "const"; readonly data: WeightRef }
  /** A small integer tensor whose elements are sizes; known when the sizes are. */
  | { readonly kind: "dims" }
  /** Persistent and mutable: it keeps its contents between calls. Zero at first. */
  | { readonly kind: "state"; readonly name: string }
  | { readonly kind: "node"; readonly node: Node; readonly index: number };

/** One SSA value. Only a `Builder` makes or changes one. */
export class Value {
  #type: TensorType;
  #contents: readonly Dim[] | undefined;
  readonly #users = new Set<Node>();
  readonly id: number;
  readonly def: Def;

  constructor(id: number, type: TensorType, def: Def, contents?: readonly Dim[]) {
    this.id = id;
    this.#type = type;
    this.def = def;
    this.#contents = contents;
  }
  get type(): TensorType {
    return this.#type;
  }
  /** Elements of a small integer or bool tensor, where they are known, possibly as symbolic sizes. */
  get contents(): readonly Dim[] | undefined {
    return this.#contents;
  }
  /** Nodes that take this value, each once. */
  get users(): ReadonlySet<Node> {
    return this.#users;
  }
  /** The node that computes this value, if one does. */
  get node(): Node | undefined {
    return this.def.kind === "node" ? this.def.node : undefined;
  }
  /** @internal */
  refine(type: TensorType, contents: readonly Dim[] | undefined): void {
    this.#type = type;
    this.#contents = contents;
  }
  /** @internal */
  mutableUsers(): Set<Node> {
    return this.#users;
  }
}

export type ArgRecord = Record<string, Value | readonly Value[] | undefined>;

/** One application of an op. */
export class Node<N extends string = string> {
  #args: ArgRecord;
  #results: readonly Value[] = [];
  readonly op: N;
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly loc: Loc;
  readonly def: OpDef;

  constructor(op: N, def: OpDef, args: ArgRecord, attrs: Readonly<Record<string, AttrValue>>, loc: Loc) {
    this.op = op;
    this.def = def;
    this.#args = args;
    this.attrs = attrs;
    this.loc = loc;
  }
  get args(): Args<string, Value> {
    return this.#args as Args<string, Value>;
  }
  get results(): readonly Value[] {
    return this.#results;
  }
  /** Arguments in the op's order, lists spread, missing optional ones left out. */
  get operands(): readonly Value[] {
    return Object.values(this.#args).flatMap((arg) => arg ?? []) as Value[];
  }
  /** The named argument. @throws when it is missing or a list: use `args` for those */
  arg(name: string): Value {
    const value = this.#args[name];
    if (!(value instanceof Value)) throw new Error(`${this.op} has no single argument ${name}`);
    return value;
  }
  /** @internal */
  setResults(results: readonly Value[]): void {
    this.#results = results;
  }
  /** @internal */
  replaceOperand(old: Value, by: Value): void {
    for (const [name, arg] of Object.entries(this.#args)) {
      if (arg === old) this.#args[name] = by;
      else if (Array.isArray(arg)) this.#args[name] = arg.map((value) => (value === old ? by : value));
    }
  }
}

/** Whether a value's node applies the op; narrows nothing, reads well. */
export const isOp = (value: Value | undefined, ...ops: OpName[]): boolean =>
  value?.node !== undefined && (ops as string[]).includes(value.node.op);
