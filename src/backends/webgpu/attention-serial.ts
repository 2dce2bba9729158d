import {
  type BoundRows,
  dotProduct,
  lines,
  lowest,
  rowStart,
  type VectorWidth,
  vectorType,
} from "./attention.ts";

/**
 * Attention for adapters that run shaders on the CPU. A workgroup has a few rows of queries; its invocations multiply a
 * key each with all of them, one weighs the scores of a row, and then each adds up some columns of the values. Loops are
 * never unrolled: drivers take very long over shaders with many loads. `workgroup.z`, which is 0, begins them, since no
 * compiler knows that.
 */
export interface SerialAttention {
  readonly vector: VectorWidth;
  /** Rows of queries: at most eight. */
  readonly rows: number;
  /** D and Dv. */
  readonly width: number;
  readonly valueWidth: number;
  readonly key: BoundRows;
  readonly value: BoundRows;
  /** WGSL: the score of row `row` with the key at position `key`, given its product. `lowest` hides the key. */
  score(row: number, product: string): string;
}

/** Invocations of a workgroup, and keys of a tile. */
export const serialThreads = 32;

const slotsOf = ({ valueWidth, vector }: SerialAttention): number =>
  Math.ceil(valueWidth / vector / serialThreads);

export const serialDeclarations = ({ vector, rows, width }: SerialAttention): string => `
var<workgroup> queries: array<${vectorType(vector)}, ${(rows * width) / vector}>;
var<workgroup> scores: array<f32, ${rows * serialThreads}>;
var<workgroup> of_rows: array<f32, ${rows}>;
`;

/** Declares what tiles add to: of the row `local`, and the sums of this invocation's columns of each row. */
export const serialState = (attention: SerialAttention): string => `
  var largest = ${lowest};
  var total = 0.0;
  ${lines(slotsOf(attention), (slot) => lines(attention.rows, (r) => `var sum_${slot}_${r} = ${vectorType(attention.vector)}();`))}`;

/**
 * Takes in keys `tile` to `tile + 31`, those below `to`; reads values below it alone. Sees `key_head` and `queries`. Begins
 * after a barrier, and another must follow before the next tile.
 */
export function serialTile(attention: SerialAttention): string {
  const { vector, rows, width, valueWidth, key, value, score } = attention;
  const [units, valueUnits] = [width / vector, valueWidth / vector];
  return `
    let key = tile + local;
    let key_at = min(key, to - 1u);
    let key_base = ${rowStart(key, vector, "key_at", "key_head")};
    ${lines(rows, (r) => `var product_${r} = 0.0;`)}
    for (var i = workgroup.z; i < ${units}u; i++) {
      let of_key = ${key.binding}[key_base + i];
      ${lines(rows, (r) => `product_${r} += ${dotProduct(vector, `queries[${r * units}u + i]`, "of_key")};`)}
    }
    ${lines(rows, (r) => `scores[local * ${rows}u + ${r}u] = ${score(r, `product_${r}`)};`)}
    workgroupBarrier();
    if (local < ${rows}u) {
      var next = largest;
      for (var j = workgroup.z; j < ${serialThreads}u; j++) { next = max(next, scores[j * ${rows}u + local]); }
      let rescale = exp(largest - next);
      total *= rescale;
      for (var j = workgroup.z; j < ${serialThreads}u; j++) {
        let score = scores[j * ${rows}u + local];
        let weight = select(0.0, exp(score - next), score > ${lowest});
        total += weight;
        scores[j * ${rows}u + local] = weight;
      }
      largest = next;
      of_rows[local] = rescale;
    }
    workgroupBarrier();
    let count = min(to - tile, ${serialThreads}u);
    ${lines(rows, (r) => `let rescale_${r} = of_rows[${r}];`)}
    ${lines(
      slotsOf(attention),
      (slot) => `if (local + ${slot * serialThreads}u < ${valueUnits}u) {
      ${lines(rows, (r) => `sum_${slot}_${r} *= rescale_${r};`)}
      for (var j = workgroup.z; j < count; j++) {
        let value_at = tile + j;
        let of_value = ${value.binding}[${rowStart(value, vector, "value_at", "key_head")} + local + ${slot * serialThreads}u];
        ${lines(rows, (r) => `sum_${slot}_${r} += scores[j * ${rows}u + ${r}u] * of_value;`)}
      }
    }`,
    )}`;
}

/** Something for each column of each row: `write(row, unit, sum)`. */
export const serialResults = (
  attention: SerialAttention,
  write: (row: number, unit: string, sum: string) => string,
): string =>
  lines(
    slotsOf(attention),
    (slot) => `if (local + ${slot * serialThreads}u < ${attention.valueWidth / attention.vector}u) {
    let unit = local + ${slot * serialThreads}u;
    ${lines(attention.rows, (r) => write(r, "unit", `sum_${slot}_${r}`))}
  }`,
  );
