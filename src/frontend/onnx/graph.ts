import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import { type Builder, Value } from "../../ir/graph.ts";
import { InferenceError, UnknownElementsError } from "../../ir/ops/op.ts";
import { inlineWeight, readWeight } from "../../ir/weights.ts";
import { tensor } from "../../tensor/tensor.ts";
import { NodeContext, notConstant, opName } from "./context.ts";
import { ConstantEvaluator } from "./evaluate.ts";
import type { Faults } from "./faults.ts";
import type { Importer, OnnxAttribute } from "./importer.ts";
import { wantedNames } from "./live.ts";
import type { OnnxAttributeRecord, OnnxAttributeValue, OnnxFunction, OnnxNodeRecord } from "./model.ts";
import { importersOf } from "./ops/index.ts";
import { type Frame, failed, leftOut, Scope } from "./scope.ts";
import { opsetOf } from "./versions.ts";

/** A node with its inputs found and its attributes read. */
interface Call {
  readonly record: OnnxNodeRecord;
  /** What diagnostics call the node. */
  readonly place: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly scope: Scope;
  readonly frame: Frame;
}

/** Imports the nodes of one model into one graph of the IR. */
export class NodeImporter {
  readonly #b: Builder;
  readonly #faults: Faults;
  readonly #functions: ReadonlyMap<string, OnnxFunction>;
  readonly #plugins: ReadonlyMap<string, Importer>;
  readonly #evaluator = new ConstantEvaluator();

  /**
   * @param functions the model's own ops
   * @param plugins importers that go before all others, by `domain::op_type`; `::op_type` in the default domain
   */
  constructor(
    b: Builder,
    faults: Faults,
    functions: readonly OnnxFunction[],
    plugins: ReadonlyMap<string, Importer>,
  ) {
    this.#b = b;
    this.#faults = faults;
    this.#functions = new Map(functions.map((f) => [functionKey(f.domain, f.name, f.overload), f]));
    this.#plugins = plugins;
  }

  /**
   * Imports those of the nodes that the named outputs depend on, and binds their outputs in the scope. What is
   * wrong with a node is added to the faults, and its outputs are bound to `failed`.
   */
  async nodes(
    nodes: readonly OnnxNodeRecord[],
    outputs: readonly string[],
    scope: Scope,
    frame: Frame,
  ): Promise<void> {
    const wanted = wantedNames(nodes, outputs);
    for (const [index, record] of nodes.entries()) {
      if (!record.outputs.some((name) => wanted.has(name))) continue;
      const place = `${frame.prefix}${record.name || `${opName(record)}#${index}`}`;
      const results = await this.#node(record, place, scope, frame);
      record.outputs.forEach((name, i) => {
        if (!wanted.has(name)) return;
        const result = results?.[i];
        if (results !== undefined && result === undefined)
          this.#faults.add(
            diagnostics.onnxUnsupported(opName(record), `its output ${i} is not supported`, place),
          );
        scope.bind(name, result === undefined ? failed : this.#folded(result));
      });
    }
  }

  /** The node's results; undefined when it failed or an input of it did. */
  async #node(record: OnnxNodeRecord, place: string, scope: Scope, frame: Frame) {
    try {
      const inputs = await this.#inputs(record, place, scope);
      if (inputs !== undefined) return await this.#call({ record, place, inputs, scope, frame });
      this.#reportUnknown(record, place, frame.calls);
      return undefined;
    } catch (error) {
      if (error instanceof UnknownElementsError && error.argument instanceof Value)
        for (const fault of notConstant(`an argument of ${opName(record)}`, error.argument, place))
          this.#faults.add(fault);
      else if (error instanceof InferenceError)
        this.#faults.add(diagnostics.onnxInvalidNode(error.message, place));
      else this.#faults.addThrown(error);
      return undefined;
    }
  }

  async #inputs(record: OnnxNodeRecord, place: string, scope: Scope) {
    const inputs: (Value | undefined)[] = [];
    let hasFailed = false;
    for (const name of record.inputs) {
      const found = name === "" ? leftOut : await scope.find(name);
      if (found === undefined) throw new BitnetcError(diagnostics.onnxUndefinedValue(name, place));
      if (found === failed) hasFailed = true;
      else inputs.push(found === leftOut ? undefined : found);
    }
    return hasFailed ? undefined : inputs;
  }

  async #call(call: Call): Promise<readonly (Value | undefined)[] | undefined> {
    const meaning = this.#meaningOf(call.record);
    switch (meaning?.kind) {
      case "importer":
        return this.#import(meaning.importer, call);
      case "constant":
        return [await this.#constant(call)];
      case "if":
        return this.#if(call);
      case "function":
        return this.#inline(meaning.fn, call);
      case undefined:
        throw new BitnetcError(diagnostics.onnxUnsupportedOp(opName(call.record), call.place));
    }
  }

  /** What a node's op stands for: plugins first, the model's own functions last. */
  #meaningOf({ domain, opType, overload }: OnnxNodeRecord) {
    const plugin = this.#plugins.get(`${domain}::${opType}`);
    if (plugin !== undefined) return { kind: "importer", importer: plugin } as const;
    if (domain === "" && opType === "Constant") return { kind: "constant" } as const;
    if (domain === "" && opType === "If") return { kind: "if" } as const;
    const table = importersOf(domain);
    const importer = table !== undefined && Object.hasOwn(table, opType) ? table[opType] : undefined;
    if (importer !== undefined) return { kind: "importer", importer } as const;
    const fn = this.#functions.get(functionKey(domain, opType, overload));
    return fn === undefined ? undefined : ({ kind: "function", fn } as const);
  }

  /** A node that cannot be imported, because one before it could not, may still be of an op that nobody knows. */
  #reportUnknown(record: OnnxNodeRecord, place: string, calls: readonly string[]): void {
    const meaning = this.#meaningOf(record);
    if (meaning === undefined) this.#faults.add(diagnostics.onnxUnsupportedOp(opName(record), place));
    if (meaning?.kind !== "function") return;
    const key = functionKey(record.domain, record.opType, record.overload);
    if (calls.includes(key)) return;
    for (const [i, inner] of meaning.fn.nodes.entries())
      this.#reportUnknown(inner, `${place}/${inner.name || `${opName(inner)}#${i}`}`, [...calls, key]);
  }

  async #import(importer: Importer, { record, place, inputs, frame }: Call): Promise<readonly Value[]> {
    const attributes = new Map<string, OnnxAttribute>();
    for (const [name, attribute] of record.attributes) {
      const resolved = resolve(attribute, frame);
      if (resolved === undefined) continue;
      if (resolved.kind === "graph" || resolved.kind === "other") {
        const what = resolved.kind === "graph" ? "a graph" : resolved.what;
        throw new BitnetcError(
          diagnostics.onnxUnsupported(opName(record), `its attribute ${name} is ${what}`, place),
        );
      }
      attributes.set(
        name,
        resolved.kind === "tensor" ? await readWeight(await resolved.value.weight()) : resolved.value,
      );
    }
    const { opType, domain, name, outputs } = record;
    const opset = opsetOf(frame.opsets, record, place);
    const node = { opType, domain, name, opset, attributes, outputs, inputs };
    return importer(new NodeContext(node, this.#b.at(`onnx:${place}`), place, this.#evaluator));
  }

  async #constant({ record, place, frame }: Call): Promise<Value> {
    for (const [name, attribute] of record.attributes) {
      const resolved = resolve(attribute, frame);
      if (resolved?.kind === "tensor") return this.#b.constant(await resolved.value.weight());
      const dtype = /^value_ints?$/.test(name) ? "i64" : /^value_floats?$/.test(name) ? "f32" : undefined;
      if (dtype === undefined) continue;
      if (resolved?.kind === "number")
        return this.#b.constant(inlineWeight(tensor(dtype, [], [resolved.value])));
      if (resolved?.kind === "numbers")
        return this.#b.constant(inlineWeight(tensor(dtype, [resolved.value.length], resolved.value)));
    }
    const given = [...record.attributes.keys()].join(", ") || "no value";
    throw new BitnetcError(diagnostics.onnxUnsupported("Constant", `it has ${given}`, place));
  }

  /** Inlines the branch that is taken. */
  async #if({ record, place, inputs, scope, frame }: Call) {
    const condition = inputs[0];
    if (condition === undefined) throw new BitnetcError(diagnostics.onnxMissingInput("If", 0, place));
    const taken = this.#evaluator.evaluate(condition)?.data[0];
    if (taken === undefined) throw new BitnetcError(notConstant("the condition of If", condition, place));
    const name = taken ? "then_branch" : "else_branch";
    const branch = record.attributes.get(name);
    if (branch?.kind !== "graph")
      throw new BitnetcError(diagnostics.onnxAttribute("If", name, "a graph", branch !== undefined, place));
    const { nodes, outputs, initializers } = branch.value;
    const names = outputs.map((output) => output.name);
    const inner = new Scope(this.#b, initializers, scope);
    return this.#body(nodes, usedOutputs(names, record), inner, { ...frame, prefix: `${place}/` });
  }

  /** Puts the nodes of a function in the place of a call. */
  async #inline(fn: OnnxFunction, { record, place, inputs, frame }: Call) {
    const key = functionKey(fn.domain, fn.name, fn.overload);
    if (frame.calls.includes(key)) throw new BitnetcError(diagnostics.onnxRecursion(opName(record), place));
    const scope = new Scope(this.#b);
    fn.inputs.forEach((name, i) => {
      scope.bind(name, inputs[i] ?? leftOut);
    });
    const attributes = new Map(fn.defaults);
    for (const [name, attribute] of record.attributes) {
      const resolved = resolve(attribute, frame);
      if (resolved !== undefined) attributes.set(name, resolved);
    }
    return this.#body(fn.nodes, usedOutputs(fn.outputs, record), scope, {
      opsets: new Map([...frame.opsets, ...fn.opsets]),
      attributes,
      prefix: `${place}/`,
      calls: [...frame.calls, key],
    });
  }

  /** Imports a body that stands for one node. Of its outputs, those that are "" are not wanted. */
  async #body(nodes: readonly OnnxNodeRecord[], outputs: readonly string[], scope: Scope, frame: Frame) {
    await this.nodes(nodes, outputs, scope, frame);
    const results: (Value | undefined)[] = [];
    // One after the other: two outputs may be one initializer, which the scope reads once.
    for (const name of outputs) {
      const result = name === "" ? leftOut : await scope.find(name);
      if (result === failed) return undefined;
      results.push(typeof result === "object" ? result : undefined);
    }
    return results;
  }

  /** Puts a constant in the place of a small integer or bool value that is computed from constants. */
  #folded(value: Value): Value {
    const { dtype } = value.type;
    if (value.node === undefined || value.contents !== undefined) return value;
    if (dtype !== "i64" && dtype !== "i32" && dtype !== "bool") return value;
    const elements = this.#evaluator.evaluate(value);
    return elements === undefined ? value : this.#b.constant(inlineWeight(elements));
  }
}

/** The outputs of a body, with "" in the place of those that the node does not use. */
const usedOutputs = (outputs: readonly string[], node: OnnxNodeRecord): readonly string[] =>
  outputs.map((name, i) => (node.outputs[i] ? name : ""));

const functionKey = (domain: string, name: string, overload: string): string =>
  `${domain}::${name}:${overload}`;

/** The attribute itself; what a reference stands for, or undefined when the call leaves that out. */
function resolve(attribute: OnnxAttributeRecord, frame: Frame): OnnxAttributeValue | undefined {
  return attribute.kind === "reference" ? frame.attributes.get(attribute.name) : attribute;
}
