import type { TernaryParams } from "../ternary.ts";
import { groupsOf, isGrouped, type Tile } from "../ternary-results.ts";

/** An invocation's sums: of products and, where weights have scales in groups, of scaled sums. */
export interface Sums {
  /** Where groups end, the sum so far is scaled and begins anew. */
  readonly type: "i32" | "f32";
  /** WGSL of the variables. */
  readonly declarations: string;
  /** WGSL of the sum of products of token i and row j. */
  sum(i: number, j: number): string;
  /** WGSL of what the sums of token i and row j come to, f32. */
  total(i: number, j: number): string;
  /**
   * WGSL that closes a group where piece number `piece`, a WGSL expression, is its last; a group has `piecesPerGroup`
   * of them.
   */
  closeGroup(piece: string, piecesPerGroup: number): string;
  /** WGSL that closes the last group, if a whole number of groups does not make up `pieces`. */
  closeLastGroup(pieces: number, piecesPerGroup: number): string;
}

export function sumsOf(params: TernaryParams, tile: Tile, type: "i32" | "f32"): Sums {
  const grouped = isGrouped(params);
  const cells = Array.from({ length: tile.tokensEach }, (_, i) =>
    Array.from({ length: tile.rowsEach }, (_, j) => [i, j] as const),
  ).flat();
  const sum = (i: number, j: number): string => `sum_${i}_${j}`;
  const close = (group: string): string =>
    [
      `let group = ${group};`,
      ...Array.from(
        { length: tile.rowsEach },
        (_, j) => `let group_scale_${j} = group_scale(row_${j}, group);`,
      ),
      ...cells.map(
        ([i, j]) => `total_${i}_${j} += f32(${sum(i, j)}) * group_scale_${j}; ${sum(i, j)} = ${type}();`,
      ),
    ].join("\n      ");
  const lastGroup = (): number => groupsOf(params) - 1;
  return {
    type,
    declarations: cells
      .map(([i, j]) => `var ${sum(i, j)} = ${type}();${grouped ? ` var total_${i}_${j} = 0.0;` : ""}`)
      .join("\n  "),
    sum,
    total: (i, j) => (grouped ? `total_${i}_${j}` : `f32(${sum(i, j)})`),
    closeGroup: (piece, piecesPerGroup) =>
      `if ((${piece} + 1u) % ${piecesPerGroup}u == 0u) {
      ${close(`min((${piece}) / ${piecesPerGroup}u, ${lastGroup()}u)`)}
    }`,
    closeLastGroup: (pieces, piecesPerGroup) =>
      pieces % piecesPerGroup === 0 ? "" : `{\n    ${close(`${lastGroup()}u`)}\n  }`,
  };
}
