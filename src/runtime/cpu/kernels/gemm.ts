import type { TensorData } from "../../../tensor/tensor.ts";
import { Scratch } from "./scratch.ts";

/** Writes `count` rows of K numbers, from row `from` on, to the start of a panel. */
export type LoadRows = (panel: Float64Array, from: number, count: number) => void;

interface Product {
  readonly rows: number;
  readonly columns: number;
  /** K: the length of the sums. */
  readonly depth: number;
  /** Rows of the left matrix [rows, K]. */
  readonly left: LoadRows;
  /** Rows of the right matrix transposed, [columns, K]. */
  readonly right: LoadRows;
  /** One number for each column, added to its sums before they are rounded. */
  readonly bias?: TensorData | undefined;
  /** [rows, columns], dense, from `offset` on. */
  readonly out: TensorData;
  readonly offset: number;
}

/** Doubles of the left matrix that are worked on at once: half a megabyte, which a core's L2 cache holds. */
const leftPanelSize = 65536;
/**
 * The tile of sums held in registers. Without SIMD each sum takes one of 16 registers: of the tiles from 1×4 to 4×4
 * this is the fastest in V8 on x64, by a quarter over 4×4, whose sums spill.
 */
const tileRows = 2;
const tileColumns = 3;

const leftScratch = new Scratch();
const rightScratch = new Scratch();

/** Loads rows of a dense matrix of `depth` columns that starts at `offset`. */
export const denseRows =
  (data: TensorData, depth: number, offset = 0): LoadRows =>
  (panel, from, count) => {
    panel.set(data.subarray(offset + from * depth, offset + (from + count) * depth));
  };

/** left [rows, K] · right [columns, K]ᵀ, summed in f64. Worth its panels from a few rows on. */
export function gemm(product: Product): void {
  const { rows, columns, depth } = product;
  const blockRows = Math.max(tileRows, Math.floor(leftPanelSize / Math.max(1, depth)) & ~1);
  const left = leftScratch.take(Math.min(blockRows, rows + 1) * depth);
  const right = rightScratch.take(tileColumns * depth);
  for (let row = 0; row < rows; row += blockRows) {
    const count = Math.min(blockRows, rows - row);
    product.left(left, row, count);
    for (let column = 0; column < columns; column += tileColumns) {
      const width = Math.min(tileColumns, columns - column);
      product.right(right, column, width);
      multiplyPanels(product, left, right, row, count, column, width);
    }
  }
}

/** The tile's last row and columns may be left over from before: what they give is not stored. */
function multiplyPanels(
  { depth, columns, bias, out, offset }: Product,
  left: Float64Array,
  right: Float64Array,
  row: number,
  count: number,
  column: number,
  width: number,
): void {
  const bias0 = bias === undefined ? 0 : bias[column]!;
  const bias1 = bias === undefined || width < 2 ? 0 : bias[column + 1]!;
  const bias2 = bias === undefined || width < 3 ? 0 : bias[column + 2]!;
  const right1 = depth;
  const right2 = 2 * depth;
  for (let i = 0; i < count; i += tileRows) {
    const left0 = i * depth;
    const left1 = left0 + depth;
    let sum00 = bias0;
    let sum01 = bias1;
    let sum02 = bias2;
    let sum10 = bias0;
    let sum11 = bias1;
    let sum12 = bias2;
    for (let k = 0; k < depth; k++) {
      const a0 = left[left0 + k]!;
      const a1 = left[left1 + k]!;
      const b0 = right[k]!;
      const b1 = right[right1 + k]!;
      const b2 = right[right2 + k]!;
      sum00 += a0 * b0;
      sum01 += a0 * b1;
      sum02 += a0 * b2;
      sum10 += a1 * b0;
      sum11 += a1 * b1;
      sum12 += a1 * b2;
    }
    let at = offset + (row + i) * columns + column;
    out[at] = sum00;
    if (width > 1) out[at + 1] = sum01;
    if (width > 2) out[at + 2] = sum02;
    if (i + 1 === count) return;
    at += columns;
    out[at] = sum10;
    if (width > 1) out[at + 1] = sum11;
    if (width > 2) out[at + 2] = sum12;
  }
}
