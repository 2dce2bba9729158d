import type { Dim } from "../../../tensor/dim.ts";
import type { DenseStorage } from "../floats.ts";

/**
 * `nn.linear` on a dense weight [N, K], or on some of its rows, which are columns of the result: out = x · weightᵀ
 * (· scale) (+ bias).
 *
 * Bindings: `x` value f32 [… rows, depth]. `weights` constant, rows `first` to `first + columns - 1` of the weight, as
 * `storage` says, from the binding's first byte on. `scales` constant f32 [N], only where the storage is q8. `bias`
 * constant f32 [N], where there is one. `out` value f32 [rows, outputColumns].
 */
export interface DenseParams {
  /** Rows of out. */
  readonly rows: Dim;
  /** The row of x that the first row of out comes from. */
  readonly rowOffset: Dim;
  /** K, the elements of a row of x and of the weight. */
  readonly depth: number;
  readonly storage: DenseStorage;
  readonly bias: boolean;
  /** The row of the weight that the binding begins with, by which scales and bias are counted. */
  readonly first: number;
  /** Rows of the weight that the binding shows. */
  readonly columns: number;
  /** Where row `first` goes in a row of out. */
  readonly outputFirst: number;
  /** Elements of a row of out. */
  readonly outputColumns: number;
}

export function denseBindings({ storage, bias }: DenseParams, weightType: string, vectors: boolean) {
  const floats = { type: "array<f32>", access: "constant" } as const;
  return {
    x: { type: vectors ? "array<vec4<f32>>" : "array<f32>", access: "value" },
    weights: { type: weightType, access: "constant" },
    ...(storage === "q8" && { scales: floats }),
    ...(bias && { bias: floats }),
    out: { type: "array<f32>", access: "value" },
  } as const;
}

/** WGSL for an element of out, of column `column` of the part, from its sum. */
export function denseResult({ storage, bias, first }: DenseParams, sum: string, column: string): string {
  const scaled = storage === "q8" ? `${sum} * scales[${first}u + ${column}]` : sum;
  return bias ? `${scaled} + bias[${first}u + ${column}]` : scaled;
}
