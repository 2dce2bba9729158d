import type { DeviceType } from "./generated/read/executorch-flatbuffer/device-type.ts";
import type { ScalarType } from "./generated/read/executorch-flatbuffer/scalar-type.ts";
import type { TensorDataLocation } from "./generated/read/executorch-flatbuffer/tensor-data-location.ts";
import type { TensorShapeDynamism } from "./generated/read/executorch-flatbuffer/tensor-shape-dynamism.ts";

/**
 * The tables of a program file (schemas/program.fbs) as plain data that JSON can hold: values, operators,
 * delegates and segments by index. Bytes are hexadecimal; an enum's member is its name, or its number where
 * the schema has no name for it.
 */
export interface ProgramTables {
  readonly version: number;
  readonly methods: readonly ProgramMethod[];
  /** Offsets from the end of the flatbuffer's padding, the header's segment_base_offset. */
  readonly segments: readonly { readonly offset: number; readonly size: number }[];
  /** Where constant tensors begin within a segment; entry 0 is reserved. */
  readonly constantSegment?: SubsegmentTable;
  readonly mutableSegments: readonly SubsegmentTable[];
  readonly namedData: readonly { readonly key: string; readonly segment: number }[];
}

export interface SubsegmentTable {
  readonly segment: number;
  readonly offsets: readonly number[];
}

/** An execution plan. */
export interface ProgramMethod {
  readonly name: string;
  /** How inputs and outputs nest, in PyTorch's pytree notation. */
  readonly containers?: { readonly inputs: string; readonly outputs: string };
  readonly values: readonly ProgramValue[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly chains: readonly ProgramChain[];
  readonly operators: readonly { readonly name: string; readonly overload: string }[];
  readonly delegates: readonly DelegateTable[];
  /** Bytes of each planned buffer; entry 0 is not used. */
  readonly bufferSizes: readonly number[];
  readonly bufferDevices: readonly {
    readonly buffer: number;
    readonly device: EnumMember<typeof DeviceType>;
    readonly deviceIndex: number;
  }[];
}

export type EnumMember<E> = Extract<keyof E, string> | number;

export type ProgramValue =
  | { readonly type: "Null" }
  /** An integer that a number cannot hold exactly is decimal text. */
  | { readonly type: "Int"; readonly value: number | string }
  | { readonly type: "Bool"; readonly value: boolean }
  /** `NaN`, `Infinity` and `-Infinity` are text. */
  | { readonly type: "Double"; readonly value: number | string }
  | { readonly type: "String"; readonly value: string }
  | ({ readonly type: "Tensor" } & TensorTable)
  /** Items are indices of values; -1 in an optional list is none. */
  | { readonly type: "IntList" | "TensorList" | "OptionalTensorList"; readonly items: readonly number[] }
  | { readonly type: "DoubleList"; readonly items: readonly (number | string)[] }
  | { readonly type: "BoolList"; readonly items: readonly boolean[] };

export interface TensorTable {
  readonly scalarType: EnumMember<typeof ScalarType>;
  /** Upper bounds unless STATIC. */
  readonly sizes: readonly number[];
  readonly dimOrder: readonly number[];
  readonly dynamism: EnumMember<typeof TensorShapeDynamism>;
  /** 0: no initial contents. */
  readonly dataBuffer: number;
  readonly storageOffset: number;
  readonly requiresGrad: boolean;
  readonly layout: number;
  /** A place in the planned buffer `memory`, in bytes. */
  readonly allocation?: { readonly memory: number; readonly offset: number };
  readonly extra?: {
    readonly name: string;
    readonly mutableSegment: number;
    readonly location: EnumMember<typeof TensorDataLocation>;
    readonly device: EnumMember<typeof DeviceType>;
    readonly deviceIndex: number;
  };
}

export interface ProgramChain {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly instructions: readonly ProgramInstruction[];
  /** One list of frames for each instruction. */
  readonly stacktrace: readonly (readonly StackFrame[])[];
}

export interface StackFrame {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly context: string;
}

export type ProgramInstruction =
  | { readonly type: "KernelCall"; readonly operator: number; readonly args: readonly number[] }
  | { readonly type: "DelegateCall"; readonly delegate: number; readonly args: readonly number[] }
  | { readonly type: "MoveCall"; readonly from: number; readonly to: number }
  | { readonly type: "JumpFalseCall"; readonly condition: number; readonly destination: number }
  | { readonly type: "FreeCall"; readonly value: number };

export interface DelegateTable {
  /** The backend that runs it. */
  readonly id: string;
  /** INLINE: in the flatbuffer; SEGMENT: a segment. */
  readonly location: "INLINE" | "SEGMENT";
  readonly index: number;
  readonly specs: readonly { readonly key: string; readonly value: string }[];
}
