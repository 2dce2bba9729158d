import type { Dim } from "../../../tensor/dim.ts";

/**
 * One `bitnet.linear` among those that share an input and run as one matrix: rows `first` to `first + rows - 1` of the
 * weights, and so of the output where there is no gate.
 */
export interface TernarySegment {
  readonly rows: number;
  /** The weight scales: one, one a row, or one for every group of a row's weights. */
  readonly scale: "one" | "row" | "group";
  readonly bias: boolean;
}

export const gateFunctions = ["relu2", "relu", "silu", "gelu", "gelu-tanh"] as const;
export type GateFunction = (typeof gateFunctions)[number];

/** What becomes of the products: they are the output, or are added to `residual`, or row i is f(gate i) · up i. */
export type TernaryEpilogue =
  | { readonly kind: "store" }
  | { readonly kind: "residual" }
  | { readonly kind: "gate"; readonly function: GateFunction };

/**
 * `bitnet.linear` on one or more matrices with a common input.
 *
 * Bindings: `weights` constant u32: the matrices' rows one behind the other, `blocksOf(depth)` blocks of 64 bytes a row
 * (`ternary-codes` of runtime/webgpu/plan.ts: the bytes of ggml's tq2_0 without its scale, code = weight + 1, element
 * 128h + 32l + m at bits 2l of byte 32h + m; padding beyond `depth` has code 1, weight 0). `scales` constant f32: those
 * of each segment one behind the other. `bias` constant f32, where any segment has one: those segments' rows one behind
 * the other. `residual` value f32 like out, for that epilogue. `out` value f32 [rows, columns].
 */
export interface TernaryParams {
  /** Tokens. */
  readonly rows: Dim;
  /** K, the elements of an input row. */
  readonly depth: number;
  /** With a gate there are two of equal size: gate and up. */
  readonly segments: readonly TernarySegment[];
  readonly activations: "int8-per-token" | "float";
  /** Neighbouring weights that have a scale in common, where a segment's scale is `group`. */
  readonly group: number;
  readonly epilogue: TernaryEpilogue;
}

/** Weights of a block. */
export const blockWeights = 256;
/** u32 words of a block's codes. */
export const blockWords = 16;
export const blocksOf = (depth: number): number => Math.ceil(depth / blockWeights);

/** Rows of the weights. */
export const weightRows = ({ segments }: Pick<TernaryParams, "segments">): number =>
  segments.reduce((sum, { rows }) => sum + rows, 0);

/** Elements of an output row. */
export const outputColumns = (params: Pick<TernaryParams, "segments" | "epilogue">): number =>
  params.epilogue.kind === "gate" ? params.segments[0]!.rows : weightRows(params);
