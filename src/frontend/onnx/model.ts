import type { WeightRef } from "../../ir/weights.ts";

/** A ModelProto, taken apart: everything but the elements of tensors, which are read when they are asked for. */
export interface OnnxModel {
  readonly irVersion: number;
  /** Name and version of the exporter, as far as the file says. */
  readonly producer: string;
  /** Versions of the operator sets, by domain; "" is the default domain. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: OnnxGraph;
  readonly functions: readonly OnnxFunction[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Names of initializers in sparse form. */
  readonly sparseInitializers: ReadonlySet<string>;
  readonly nodes: readonly OnnxNodeRecord[];
}

/** A graph's input or output as the file declares it. */
export interface OnnxValueInfo {
  readonly name: string;
  /** A tensor's type, or what else it is (`sequence`, `map`, `optional`, …); undefined when nothing is said. */
  readonly type: OnnxTensorType | string | undefined;
}

export interface OnnxTensorType {
  /** A number of `TensorProto.DataType`. */
  readonly dataType: number;
  /** Sizes: numbers, names or expressions, or unknown. No shape at all: not even the rank is known. */
  readonly shape: readonly (number | string | undefined)[] | undefined;
}

export interface OnnxNodeRecord {
  readonly opType: string;
  /** "" for the default domain. */
  readonly domain: string;
  readonly overload: string;
  readonly name: string;
  /** An empty name: left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttributeRecord>;
}

export type OnnxAttributeValue =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "numbers"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "tensor"; readonly value: OnnxTensor }
  | { readonly kind: "graph"; readonly value: OnnxGraph }
  /** A kind that no supported op takes. */
  | { readonly kind: "other"; readonly what: string };

export type OnnxAttributeRecord =
  | OnnxAttributeValue
  /** Stands for an attribute of the function that the node is in. */
  | { readonly kind: "reference"; readonly name: string };

/** A TensorProto. */
export interface OnnxTensor {
  readonly name: string;
  /** A number of `TensorProto.DataType`. */
  readonly dataType: number;
  readonly shape: readonly number[];
  /** The file beside the model that holds the elements, if they are not in the model. */
  readonly externalFile?: string;
  /**
   * The elements, to be read when needed.
   * @throws BitnetcError when the type is not supported or the data cannot be where the tensor says
   */
  weight(): Promise<WeightRef>;
}

/** A FunctionProto: an op that the model defines itself. */
export interface OnnxFunction {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Values of attributes that a call may leave out. */
  readonly defaults: ReadonlyMap<string, OnnxAttributeValue>;
  readonly opsets: ReadonlyMap<string, number>;
  readonly nodes: readonly OnnxNodeRecord[];
}
