import type { WeightRef } from "../../ir/weights.ts";
import type { Dim } from "../../tensor/dim.ts";
import type { VulkanOp } from "./operators.ts";

/** Element types of tensors in memory; integers of the graph are i32 there. */
export type MemoryDType = "f32" | "i32";

/** A tensor in the device's memory: dense, in rows. */
export interface VulkanTensor {
  readonly kind: "tensor";
  /** Unique in its delegate. */
  readonly id: number;
  readonly dtype: MemoryDType;
  readonly shape: readonly Dim[];
  /** Keeps its contents from call to call: it shares its memory with no other. */
  readonly isKept?: boolean;
}

/** Data of the program. Ops bring it to the device as they want it. */
export interface VulkanConstant {
  readonly kind: "constant";
  readonly weight: WeightRef;
  /** Tells apart values that hold the same data. */
  readonly copy?: number;
  /** Where the weight is rows of another, that one and the first of the rows. */
  readonly rowsOf?: { readonly weight: WeightRef; readonly from: number };
}

/** An integer that is computed when the graph runs. */
export interface VulkanInt {
  readonly kind: "int";
  readonly id: number;
}

export type Int = number | VulkanInt;
export type Operand = VulkanTensor | VulkanConstant;

/** A value of a call, by the kinds of arguments in the table of ops. */
export interface ArgTypes {
  readonly tensor: VulkanTensor;
  readonly tensors: readonly VulkanTensor[];
  readonly constant: VulkanConstant;
  readonly "constant?": VulkanConstant | undefined;
  readonly operand: Operand;
  readonly int: Int;
  readonly ints: readonly Int[];
  readonly double: number;
  readonly "double?": number | undefined;
  readonly bool: boolean;
  readonly string: string;
  readonly none: undefined;
}

export type ArgsOf<S> = { readonly [A in keyof S]: S[A] extends keyof ArgTypes ? ArgTypes[S[A]] : never };

/** A call before its values have numbers. */
export interface VulkanOpCall {
  readonly op: VulkanOp;
  /** In the order of the op's table. */
  readonly args: readonly ArgTypes[keyof ArgTypes][];
  readonly result: VulkanTensor | VulkanInt | readonly VulkanTensor[];
}

/** A delegate's graph before its values have numbers. */
export interface VulkanCalls {
  readonly inputs: readonly VulkanTensor[];
  readonly outputs: readonly VulkanTensor[];
  readonly calls: readonly VulkanOpCall[];
}
