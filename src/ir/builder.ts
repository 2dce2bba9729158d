import { areDifferent, type Dim, substituteDim } from "../tensor/dim.ts";
import type { Graph } from "./graph.ts";
import type { ArgsOf, AttrsOf, OpName } from "./ops/index.ts";
import { type Args, InferenceError, type OpDef, UnknownElementsError } from "./ops/op.ts";
import { formatType, type TensorType } from "./type.ts";
import { type ArgRecord, type Attrs, isList, type Loc, Node, type Value } from "./value.ts";
import type { WeightRef } from "./weights.ts";

type BuildFirst = <N extends OpName>(
  op: N,
  args: Args<ArgsOf<N>, Value>,
  ...attrs: AttrsParameter<N>
) => Value;

/** Edits one graph. Calling it adds a node and returns its (first) result. */
export interface Builder extends BuildFirst {
  /** Adds a node and returns all of its results. */
  all<N extends OpName>(op: N, args: Args<ArgsOf<N>, Value>, ...attrs: AttrsParameter<N>): readonly Value[];
  /** Adds a node of an op known only by name, as a reader of a file does. */
  untyped(op: string, args: ArgRecord, attrs: Attrs): readonly Value[];
  /** The builder with another place in the model, for frontends. */
  at(source: string): Builder;
  input(name: string, type: TensorType, contents?: readonly Dim[]): Value;
  state(name: string, type: TensorType): Value;
  output(name: string, value: Value): void;
  constant(data: WeightRef): Value;
  /** An i64 tensor of sizes: a vector, or a scalar for a single size. */
  dims(sizes: readonly Dim[] | Dim): Value;
  /**
   * Puts `by` wherever `old` is used, outputs included; a node that writes a state does so no more when `by`
   * stands for it. The types must agree in dtype and rank and have no sizes that certainly differ, unless the
   * caller is changing the types of the graph and calls `reinfer` in the end.
   */
  replace(old: Value, by: Value, options?: { readonly retype?: boolean }): void;
  /** Changes attributes in place, for a pass that changes the graph's types and calls `reinfer` in the end. */
  retype(change: (node: Node) => Attrs | undefined): void;
  /** Takes away an input that nothing uses. */
  removeInput(input: Value): void;
  removeOutput(name: string): void;
  /** Forgets nodes that were built and then not used. */
  sweep(): void;
  /** Gives symbols of the graph's sizes a meaning, everywhere. */
  substitute(meaning: ReadonlyMap<string, Dim>): void;
  /** Runs shape inference over the graph again, with new types for some inputs and states. */
  reinfer(types?: ReadonlyMap<Value, TensorType>): void;
}

type AttrsParameter<N extends OpName> = keyof AttrsOf<N> extends never ? [AttrsOf<N>?] : [AttrsOf<N>];

/** Contents are kept for tensors of at most this many elements: shapes, not data. */
const contentsLimit = 1024;

export function makeBuilder(graph: Graph, by: string, source?: string): Builder {
  const { mutable } = graph;
  const untyped: Builder["untyped"] = (op, args, attrs) => {
    const def = graph.ops.get(op);
    if (def === undefined) throw new Error(`unknown op ${op}`);
    const ordered: ArgRecord = {};
    for (const spec of def.args) {
      const name = spec.replace(/[?*]$/, "");
      const arg = args[name];
      if (arg === undefined) {
        if (!spec.endsWith("?")) throw new Error(`${op} lacks its argument ${name}`);
        continue;
      }
      if (isList(arg) !== spec.endsWith("*"))
        throw new Error(`${name} of ${op} must be ${spec.endsWith("*") ? "a list" : "one value"}`);
      ordered[name] = arg;
    }
    const unknown = Object.keys(args).find((name) => args[name] !== undefined && !(name in ordered));
    if (unknown !== undefined) throw new Error(`${op} has no argument ${unknown}`);
    const { types, contents } = infer(op, def, ordered, attrs);
    const node = new Node(op, def, ordered, sortedByName(attrs), {
      source: source ?? "",
      by: source === undefined ? [by] : [],
    });
    node.setResults(
      types.map((type, index) =>
        graph.newValue(type, { kind: "node", node, index }, index === 0 ? contents : undefined),
      ),
    );
    for (const operand of node.operands) operand.mutableUsers().add(node);
    if (def.mutates !== undefined) mutable.effects.add(node);
    graph.changed();
    return node.results;
  };

  const replace: Builder["replace"] = (old, next, options) => {
    if (old === next) return;
    if (options?.retype !== true && !mayBeEqual(old.type, next.type))
      throw new Error(`${by}: ${formatType(old.type)} cannot be replaced by ${formatType(next.type)}`);
    for (const user of [...old.users]) {
      user.replaceOperand(old, next);
      next.mutableUsers().add(user);
    }
    old.mutableUsers().clear();
    for (const output of mutable.outputs) if (output.value === old) output.value = next;
    if (old.node) {
      inheritPlace(next, old.node.loc, by);
      if (!isUsed(old.node, graph)) mutable.effects.delete(old.node);
    }
    graph.changed();
    removeIfUnused(old, graph);
  };

  const all: Builder["all"] = (op, args, ...[attrs = {}]) => untyped(op, args as ArgRecord, attrs as Attrs);
  const first: BuildFirst = (op, args, ...attrs) => all(op, args, ...attrs)[0]!;
  return Object.assign(first, {
    all,
    untyped,
    at: (place: string) => makeBuilder(graph, by, place),
    input(name: string, type: TensorType, contents?: readonly Dim[]) {
      const value = graph.newValue(type, { kind: "input", name }, contents);
      mutable.inputs.push(value);
      return value;
    },
    state(name: string, type: TensorType) {
      const value = graph.newValue(type, { kind: "state", name });
      mutable.states.push(value);
      return value;
    },
    output(name: string, value: Value) {
      mutable.outputs.push({ name, value });
      graph.changed();
    },
    constant(data: WeightRef) {
      const isShapeLike =
        /^(i64|i32|bool)$/.test(data.dtype) && (data.inline?.data.length ?? Infinity) <= contentsLimit;
      const contents = isShapeLike ? Array.from(data.inline!.data) : undefined;
      return graph.newValue({ dtype: data.dtype, shape: data.shape }, { kind: "const", data }, contents);
    },
    dims(sizes: readonly Dim[] | Dim) {
      const list = Array.isArray(sizes) ? (sizes as readonly Dim[]) : undefined;
      return graph.newValue(
        { dtype: "i64", shape: list ? [list.length] : [] },
        { kind: "dims" },
        list ?? [sizes as Dim],
      );
    },
    replace,
    retype(change: (node: Node) => Attrs | undefined) {
      for (const node of graph.nodes) {
        const attrs = change(node);
        if (attrs) node.setAttrs(sortedByName(attrs));
      }
    },
    removeInput(input: Value) {
      const at = mutable.inputs.indexOf(input);
      if (at < 0 || input.users.size > 0 || isOutput(input, graph))
        throw new Error("only an unused input can be removed");
      mutable.inputs.splice(at, 1);
    },
    removeOutput(name: string) {
      const at = mutable.outputs.findIndex((output) => output.name === name);
      if (at < 0) throw new Error(`no output ${name}`);
      const [removed] = mutable.outputs.splice(at, 1);
      graph.changed();
      removeIfUnused(removed!.value, graph);
    },
    sweep() {
      const live = new Set(graph.nodes);
      const values = graph.nodes.flatMap((node) => [...node.operands, ...node.results]);
      for (const value of new Set([...mutable.inputs, ...mutable.states, ...values]))
        for (const user of value.users) if (!live.has(user)) value.mutableUsers().delete(user);
    },
    substitute(meaning: ReadonlyMap<string, Dim>) {
      const replaceIn = (dims: readonly Dim[]) => dims.map((dim) => substituteDim(dim, meaning));
      const operands = graph.nodes.flatMap((node) => node.operands);
      const outputs = mutable.outputs.map(({ value }) => value);
      for (const leaf of new Set([...mutable.inputs, ...mutable.states, ...operands, ...outputs])) {
        if (leaf.node !== undefined) continue;
        const { dtype, shape } = leaf.type;
        leaf.refine({ dtype, shape: replaceIn(shape) }, leaf.contents && replaceIn(leaf.contents));
      }
      this.reinfer();
    },
    reinfer(types?: ReadonlyMap<Value, TensorType>) {
      for (const [leaf, type] of types ?? []) leaf.refine(type, leaf.contents);
      for (const node of graph.nodes) {
        const { types, contents } = infer(node.op, node.def, node.args, node.attrs);
        node.results.forEach((result, i) => {
          result.refine(types[i]!, i === 0 ? contents : undefined);
        });
      }
    },
  });
}

function infer(op: string, def: OpDef, args: Readonly<ArgRecord>, attrs: Attrs) {
  try {
    const typed = args as Args<string, Value>;
    const types = def.infer(typed, attrs);
    const wrong = def.verify?.(typed, attrs);
    if (wrong !== undefined) throw new InferenceError(wrong);
    const size =
      types[0]?.shape.reduce<number>((n, dim) => (typeof dim === "number" ? n * dim : Infinity), 1) ?? 0;
    const contents = size <= contentsLimit ? def.contents?.(typed, attrs) : undefined;
    return { types, contents: contents?.length === size ? contents : undefined };
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    const given = Object.entries(args).map(([name, arg = []]) => {
      const values = isList(arg) ? arg : [arg];
      return `${name}: ${values.map(({ type }) => formatType(type)).join(", ")}`;
    });
    const message = `${op}(${given.join("; ")}): ${error.message}`;
    throw error instanceof UnknownElementsError
      ? new UnknownElementsError(message, error.argument)
      : new InferenceError(message);
  }
}

/** Attributes are listed in one order, whoever wrote them, so that equal nodes have equal texts. */
const sortedByName = (attrs: Attrs): Attrs =>
  Object.fromEntries(Object.entries(attrs).sort(([a], [b]) => (a < b ? -1 : 1)));

const mayBeEqual = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype &&
  a.shape.length === b.shape.length &&
  !a.shape.some((size, i) => areDifferent(size, b.shape[i]!));

const isOutput = (value: Value, graph: Graph): boolean =>
  graph.outputs.some((output) => output.value === value);

const isUsed = (node: Node, graph: Graph): boolean =>
  node.results.some((result) => result.users.size > 0 || isOutput(result, graph));

/** New nodes of a rewrite, which know no place of their own, stand where the old node stood. */
function inheritPlace(value: Value, from: Loc, by: string): void {
  const stack = [value.node];
  while (stack.length > 0) {
    const node = stack.pop();
    if (node === undefined || node.loc.source !== "" || from.source === "") continue;
    node.setLoc({ source: from.source, by: [...from.by, by] });
    stack.push(...node.operands.map((operand) => operand.node));
  }
}

/** Takes nodes that nothing uses any more off their arguments' users. */
function removeIfUnused(value: Value, graph: Graph): void {
  const stack = [value.node];
  while (stack.length > 0) {
    const node = stack.pop();
    if (node === undefined || graph.mutable.effects.has(node)) continue;
    if (isUsed(node, graph)) continue;
    for (const operand of new Set(node.operands)) {
      operand.mutableUsers().delete(node);
      stack.push(operand.node);
    }
  }
}
