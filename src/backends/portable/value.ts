import type { WeightRef } from "../../ir/weights.ts";
import type { Dim } from "../../tensor/dim.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { AtenOp } from "./aten.ts";

/** Where a tensor's elements are. */
type Storage =
  /** In memory that tensors share by lifetime. */
  | { readonly kind: "arena" }
  /** From row `firstRow` of a constant on. */
  | { readonly kind: "constant"; readonly weight: WeightRef; readonly firstRow: number }
  /** In memory that keeps its contents between calls. */
  | { readonly kind: "state"; readonly state: string };

export interface PortableTensor {
  readonly kind: "tensor";
  /** Unique in its program. */
  readonly id: number;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  readonly storage: Storage;
  /** Of inputs, outputs and states. */
  readonly name?: string;
}

/** An integer that is computed when the program runs. */
export interface ComputedInt {
  readonly kind: "int";
  readonly id: number;
}

export type Int = number | ComputedInt;

/** A value of a kernel call, by the kinds of arguments in the table of operators. */
export interface ArgTypes {
  readonly tensor: PortableTensor;
  readonly tensors: readonly PortableTensor[];
  readonly "tensors?": readonly (PortableTensor | undefined)[];
  readonly int: Int;
  readonly "int?": Int | undefined;
  readonly ints: readonly Int[];
  readonly scalar: Int | { readonly double: number };
  readonly "scalar?": Int | { readonly double: number } | undefined;
  readonly bool: boolean;
  readonly string: string;
  readonly none: undefined;
}

export type ArgsOf<S> = { readonly [A in keyof S]: S[A] extends keyof ArgTypes ? ArgTypes[S[A]] : never };

/** A kernel call before its values have numbers. */
export interface PortableCall {
  readonly op: AtenOp;
  /** In the order of the schema. */
  readonly args: readonly ArgTypes[keyof ArgTypes][];
  readonly results: readonly (PortableTensor | ComputedInt)[];
}

/** A call of a delegate, which computes some of the method. */
export interface DelegateCall {
  /** Among the method's delegates. */
  readonly delegate: number;
  readonly inputs: readonly PortableTensor[];
  readonly outputs: readonly PortableTensor[];
}

/** What a graph becomes. */
export interface PortableGraph {
  readonly inputs: readonly PortableTensor[];
  readonly outputs: readonly PortableTensor[];
  readonly outputNames: readonly string[];
  /** Bytes follow from them; in the order of the graph. */
  readonly states: readonly PortableTensor[];
  readonly calls: readonly (PortableCall | DelegateCall)[];
}
