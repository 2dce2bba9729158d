import type { AttrValue } from "../ir/ops/op.ts";
import type { Dim } from "../tensor/dim.ts";
import type { DType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * A graph as a program carries it and an executor runs it: plain data, values by index, nodes in execution
 * order. `serialize/delegate.ts` writes and reads it; `passes/to-program-graph.ts` makes it from the IR.
 */
export interface ProgramGraph {
  readonly values: readonly { readonly dtype: DType; readonly shape: readonly Dim[] }[];
  /** Integer inputs whose elements other sizes depend on (`start_pos`) say so in `contents`. */
  readonly inputs: readonly {
    readonly name: string;
    readonly value: number;
    readonly contents?: readonly Dim[];
  }[];
  readonly outputs: readonly { readonly name: string; readonly value: number }[];
  readonly states: readonly { readonly name: string; readonly value: number }[];
  readonly constants: readonly ProgramConstant[];
  /** i64 tensors of sizes. */
  readonly dims: readonly { readonly value: number; readonly sizes: readonly Dim[] }[];
  readonly nodes: readonly ProgramNode[];
}

export interface ProgramNode {
  readonly op: string;
  readonly args: Readonly<Record<string, number | readonly number[]>>;
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly results: readonly number[];
  /** Where in the model it comes from. */
  readonly source: string;
}

export type ProgramConstant =
  /** A blob of the program, by its key among the named data. */
  { readonly value: number; readonly key: string } | { readonly value: number; readonly inline: Tensor };
