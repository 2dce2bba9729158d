import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import type { Builder, Value } from "../../ir/graph.ts";
import { inlineWeight } from "../../ir/weights.ts";
import { isSymbolic } from "../../tensor/dim.ts";
import { scalarTensor, type Tensor } from "../../tensor/tensor.ts";
import { type ConstantEvaluator, inputsBehind } from "./evaluate.ts";
import type { ImportContext, OnnxAttribute, OnnxNode } from "./importer.ts";

/** What an importer works with: the node, its arguments and attributes, and the ways to refuse it. */
export class NodeContext implements ImportContext {
  readonly node: OnnxNode;
  readonly b: Builder;
  readonly #place: string;
  readonly #evaluator: ConstantEvaluator;

  /** @param place what diagnostics call the node */
  constructor(node: OnnxNode, b: Builder, place: string, evaluator: ConstantEvaluator) {
    this.node = node;
    this.b = b;
    this.#place = place;
    this.#evaluator = evaluator;
  }

  input(index: number): Value {
    const value = this.node.inputs[index];
    return value ?? this.#fail(diagnostics.onnxMissingInput(this.#op, index, this.#place));
  }

  optional(index: number): Value | undefined {
    return this.node.inputs[index];
  }

  int(name: string, fallback?: number): number {
    const value = this.float(name, fallback);
    return Number.isInteger(value) ? value : this.#badAttribute(name, "an integer");
  }

  float(name: string, fallback?: number): number {
    const value = this.node.attributes.get(name) ?? fallback;
    return typeof value === "number" ? value : this.#badAttribute(name, "a number");
  }

  string(name: string, fallback?: string): string {
    const value = this.node.attributes.get(name) ?? fallback;
    return typeof value === "string" ? value : this.#badAttribute(name, "a string");
  }

  ints(name: string): readonly number[] | undefined {
    const values = this.floats(name);
    return values === undefined || values.every(Number.isInteger)
      ? values
      : this.#badAttribute(name, "a list of integers");
  }

  floats(name: string): readonly number[] | undefined {
    const value = this.node.attributes.get(name);
    if (value === undefined) return undefined;
    return isNumbers(value) ? value : this.#badAttribute(name, "a list of numbers");
  }

  tensor(name: string): Tensor | undefined {
    const value = this.node.attributes.get(name);
    if (value === undefined) return undefined;
    return typeof value === "object" && "dtype" in value ? value : this.#badAttribute(name, "a tensor");
  }

  constantInts(index: number): readonly number[] {
    const elements = this.constant(index).data;
    return Array.from(elements, Number);
  }

  /** The elements of an input which must be known at compile time. */
  constant(index: number): Tensor {
    const value = this.input(index);
    const elements = this.#evaluator.evaluate(value);
    return elements ?? this.#fail(notConstant(`input ${index} of ${this.#op}`, value, this.#place));
  }

  scalar(value: number, like: Value): Value {
    return this.b.constant(inlineWeight(scalarTensor(like.type.dtype, value)));
  }

  unsupported(sentence: string): never {
    return this.#fail(diagnostics.onnxUnsupported(this.#op, sentence, this.#place));
  }

  get #op(): string {
    return opName(this.node);
  }

  #badAttribute(name: string, expected: string): never {
    const given = this.node.attributes.has(name);
    return this.#fail(diagnostics.onnxAttribute(this.#op, name, expected, given, this.#place));
  }

  #fail(diagnostic: Diagnostic | readonly Diagnostic[]): never {
    throw new BitnetcError(diagnostic);
  }
}

const isNumbers = (value: OnnxAttribute): value is readonly number[] =>
  Array.isArray(value) && value.every((element) => typeof element === "number");

/** An op as messages name it: `Gelu`, `com.microsoft::Gelu`. */
export const opName = ({ domain, opType }: { readonly domain: string; readonly opType: string }): string =>
  domain === "" ? opType : `${domain}::${opType}`;

/**
 * Why a value's elements are not known at compile time: one diagnostic for each input of the graph that it
 * depends on, which a caller may then bind, or one that names the sizes.
 */
export function notConstant(what: string, value: Value, place: string): readonly Diagnostic[] {
  const inputs = [...inputsBehind(value)];
  if (inputs.length > 0) return inputs.map((name) => diagnostics.needsConstantInput(name, what, place));
  const sizes = (value.contents ?? []).filter(isSymbolic).map((dim) => dim.key);
  return [diagnostics.onnxNotConstant(what, sizes, place)];
}
