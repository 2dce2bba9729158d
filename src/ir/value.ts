import type { Dim } from "../tensor/dim.ts";
import type { AttrValue, OpDef, WeightKind } from "./ops/op.ts";
import { sameType, type TensorType } from "./type.ts";
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

export type Arg = Value | readonly Value[];
export type ArgRecord = Record<string, Arg | undefined>;
export type Attrs = Readonly<Record<string, AttrValue>>;

/** Whether an argument is a list of values. */
export const isList = (arg: Arg | undefined): arg is readonly Value[] => Array.isArray(arg);

/** One application of an op. */
export class Node<N extends string = string> {
  #args: ArgRecord;
  /** `operands`, once asked for; passes ask often. */
  #operands: readonly Value[] | undefined;
  #attrs: Attrs;
  #loc: Loc;
  #results: readonly Value[] = [];
  readonly op: N;
  readonly def: OpDef;

  constructor(op: N, def: OpDef, args: ArgRecord, attrs: Attrs, loc: Loc) {
    this.op = op;
    this.def = def;
    this.#args = args;
    this.#attrs = attrs;
    this.#loc = loc;
  }
  /** Arguments by name, in the op's order; those that are left out are missing. */
  get args(): Readonly<ArgRecord> {
    return this.#args;
  }
  get attrs(): Attrs {
    return this.#attrs;
  }
  get loc(): Loc {
    return this.#loc;
  }
  get results(): readonly Value[] {
    return this.#results;
  }
  /** The arguments, lists spread. */
  get operands(): readonly Value[] {
    this.#operands ??= Object.values(this.#args).flatMap((arg) => arg ?? []);
    return this.#operands;
  }
  /** The named argument. @throws Error when it is left out or a list */
  arg(name: string): Value {
    const value = this.#args[name];
    if (!(value instanceof Value)) throw new Error(`${this.op} has no single argument ${name}`);
    return value;
  }
  /** The named argument; undefined when it is left out. @throws Error when it is a list */
  optional(name: string): Value | undefined {
    return this.#args[name] === undefined ? undefined : this.arg(name);
  }
  /** The argument of that name that takes a list. @throws Error when it is missing or no list */
  list(name: string): readonly Value[] {
    const values = this.#args[name];
    if (!isList(values)) throw new Error(`${this.op} has no list of arguments ${name}`);
    return values;
  }
  /** @internal */
  setResults(results: readonly Value[]): void {
    this.#results = results;
  }
  /** @internal */
  setAttrs(attrs: Attrs): void {
    this.#attrs = attrs;
  }
  /** @internal */
  setLoc(loc: Loc): void {
    this.#loc = loc;
  }
  /** @internal */
  replaceOperand(old: Value, by: Value): void {
    for (const [name, arg] of Object.entries(this.#args)) {
      if (arg === old) this.#args[name] = by;
      else if (isList(arg)) this.#args[name] = arg.map((value) => (value === old ? by : value));
    }
    this.#operands = undefined;
  }
}

/** An argument of a node that its op calls a weight, and that is a constant. */
interface WeightArg {
  readonly name: string;
  readonly kind: WeightKind;
  readonly value: Value;
  readonly data: WeightRef;
}

/** The weights among a node's arguments, in the order in which its op names them. */
export const weightArgs = ({ def, args }: Node): readonly WeightArg[] =>
  Object.entries<WeightKind | undefined>(def.weights ?? {}).flatMap(([name, kind]) => {
    const value = args[name];
    const isWeight = kind !== undefined && value instanceof Value && value.def.kind === "const";
    return isWeight ? [{ name, kind, value, data: value.def.data }] : [];
  });

/** What a constant holds, by what the ops that take it say of their arguments. */
export const weightKindsOf = (constant: Value): ReadonlySet<WeightKind> =>
  new Set(
    [...constant.users].flatMap((node) =>
      weightArgs(node).flatMap(({ kind, value }) => (value === constant ? [kind] : [])),
    ),
  );

/** Whether two values have provably the same type. */
export const sameValueType = (a: Value, b: Value): boolean => sameType(a.type, b.type);
