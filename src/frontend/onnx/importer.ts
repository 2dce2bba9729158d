import type { Builder, Value } from "../../ir/graph.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** An attribute of an ONNX node, decoded. Graph attributes (If, Loop, Scan) are resolved before import. */
export type OnnxAttribute = number | string | Tensor | readonly number[] | readonly string[];

/** One ONNX node at import, with its arguments already in the IR. */
export interface OnnxNode {
  readonly opType: string;
  /** "" for the default domain. */
  readonly domain: string;
  readonly name: string;
  /** Version of the node's domain that the model imports. */
  readonly opset: number;
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
  /** An empty name: the output is not wanted. */
  readonly outputs: readonly string[];
  /** `undefined` where an optional input is left out. */
  readonly inputs: readonly (Value | undefined)[];
}

/** What an op's importer works with. Its methods throw diagnostics that name the node; they are collected. */
export interface ImportContext {
  readonly node: OnnxNode;
  /** Adds nodes placed at this ONNX node. */
  readonly b: Builder;
  /** Input `index`. @throws when it is left out */
  input(index: number): Value;
  optional(index: number): Value | undefined;
  int(name: string, fallback?: number): number;
  float(name: string, fallback?: number): number;
  string(name: string, fallback?: string): string;
  ints(name: string): readonly number[] | undefined;
  floats(name: string): readonly number[] | undefined;
  tensor(name: string): Tensor | undefined;
  /** The elements of an input which must be plain integers at compile time (axes, repeats, k, …). */
  constantInts(index: number): readonly number[];
  /** A scalar of the value's dtype, for `x * scalar`. */
  scalar(value: number, like: Value): Value;
  /** Gives up on the node with a sentence: "mode \"linear\" is not supported". */
  unsupported(sentence: string): never;
}

/** Maps one ONNX node to core ops; returns its outputs in order. */
export type Importer = (context: ImportContext) => readonly Value[];
/** Importers by op type, of one domain. */
export type ImporterTable = Readonly<Record<string, Importer>>;
