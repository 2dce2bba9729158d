import { gateDeclaration } from "../gates.ts";
import { outputColumns, type TernaryParams, type TernarySegment, weightRows } from "./ternary.ts";

/** Where a segment's rows, scales and biases begin. */
interface PlacedSegment extends TernarySegment {
  readonly firstRow: number;
  readonly firstScale: number;
  readonly firstBias: number;
}

export const groupsOf = ({ depth, group }: TernaryParams): number => Math.ceil(depth / group);
export const isGrouped = ({ segments }: TernaryParams): boolean =>
  segments.some(({ scale }) => scale === "group");
export const hasBias = ({ segments }: TernaryParams): boolean => segments.some(({ bias }) => bias);

function placed(params: TernaryParams): readonly PlacedSegment[] {
  let [firstRow, firstScale, firstBias] = [0, 0, 0];
  return params.segments.map((segment) => {
    const place = { ...segment, firstRow, firstScale, firstBias };
    firstRow += segment.rows;
    firstScale +=
      segment.scale === "one" ? 1 : segment.rows * (segment.scale === "row" ? 1 : groupsOf(params));
    if (segment.bias) firstBias += segment.rows;
    return place;
  });
}

/** A WGSL function of a weight row whose body depends on the segment that the row belongs to. */
function bySegment(
  head: string,
  segments: readonly PlacedSegment[],
  valueIn: (segment: PlacedSegment) => string,
): string {
  const lines = segments.map((segment, i) => {
    const isLast = i === segments.length - 1;
    const condition = isLast ? "" : `if (row < ${segment.firstRow + segment.rows}u) `;
    return `  ${condition}{ return ${valueIn(segment)}; }`;
  });
  return `${head} {\n${lines.join("\n")}\n}`;
}

const within = (firstRow: number, first: number): string =>
  first === firstRow ? "row" : first > firstRow ? `row + ${first - firstRow}u` : `row - ${firstRow - first}u`;

/**
 * WGSL of what makes results of sums. A sum over a group of weights, or over all weights of a row without groups, is
 * multiplied by `group_scale(row, group)`, which is 1 for a row without groups. The total becomes a result by
 * `row_factor(row)`: the divisor beside the token's own scale with int8 activations, in the rounding of HF's BitLinear,
 * and a factor with float activations.
 */
export function resultDeclarations(params: TernaryParams): string {
  const segments = placed(params);
  const isQuantized = params.activations === "int8-per-token";
  const parts = [
    bySegment("fn row_factor(row: u32) -> f32", segments, ({ scale, firstRow, firstScale }) => {
      if (scale === "group") return "1.0";
      const stored = scale === "one" ? `scales[${firstScale}u]` : `scales[${within(firstRow, firstScale)}]`;
      return isQuantized ? `1.0 / ${stored}` : stored;
    }),
  ];
  if (isGrouped(params))
    parts.push(
      bySegment("fn group_scale(row: u32, group: u32) -> f32", segments, ({ scale, firstRow, firstScale }) =>
        scale === "group"
          ? `scales[${firstScale}u + (row - ${firstRow}u) * ${groupsOf(params)}u + group]`
          : "1.0",
      ),
    );
  if (hasBias(params))
    parts.push(
      bySegment("fn bias_of(row: u32) -> f32", segments, ({ bias, firstRow, firstBias }) =>
        bias ? `bias[${within(firstRow, firstBias)}]` : "0.0",
      ),
    );
  if (params.epilogue.kind === "gate") parts.push(gateDeclaration(params.epilogue.function));
  return parts.join("\n");
}

/** The part of a product that a workgroup computes, and an invocation's share of it. */
export interface Tile {
  /** Local rows: rows of the weights, of gate and up where there is a gate. */
  readonly rows: number;
  readonly tokensEach: number;
  readonly rowsEach: number;
  /** WGSL of the local row of an invocation's row j; with a gate, rows j and j + rowsEach / 2 are gate and up. */
  localRow(j: number): string;
  /** WGSL of an invocation's token i. */
  token(i: number): string;
}

/** Output columns of a tile: with a gate, half of its rows are gate rows and the others the same rows of up. */
export const tileColumns = ({ epilogue }: TernaryParams, rows: number): number =>
  epilogue.kind === "gate" ? rows / 2 : rows;

/**
 * WGSL of the weight row that is a tile's local row, a WGSL expression; the tile begins with the column `first_column`.
 * Local rows beyond the last column stand for the last.
 */
export function weightRow(params: TernaryParams, rows: number, local: string): string {
  const last = outputColumns(params) - 1;
  if (params.epilogue.kind !== "gate") return `min(first_column + ${local}, ${last}u)`;
  const half = rows / 2;
  return `(min(first_column + (${local}) % ${half}u, ${last}u) + select(0u, ${last + 1}u, ${local} >= ${half}u))`;
}

/** WGSL of `row_j`, the weight rows of an invocation. */
export const rowStatements = (params: TernaryParams, { rows, rowsEach, localRow }: Tile): string =>
  Array.from(
    { length: rowsEach },
    (_, j) => `let row_${j} = ${weightRow(params, rows, `(${localRow(j)})`)};`,
  ).join("\n  ");

/** WGSL of a result from its total: `token_scale` is the token's own scale, factor and bias are its weight row's. */
function resultOf(params: TernaryParams, total: string, factor: string, bias: string): string {
  const isQuantized = params.activations === "int8-per-token";
  const product = isQuantized ? `${total} / (token_scale * ${factor})` : `${total} * ${factor}`;
  return hasBias(params) ? `(${product} + ${bias})` : `(${product})`;
}

/** WGSL of an element of the output, at index `at`, from its result and, with a gate, that of up. */
function elementOf({ epilogue }: TernaryParams, result: string, up: string, at: string): string {
  if (epilogue.kind === "gate") return `gate_function${result} * ${up}`;
  return epilogue.kind === "residual" ? `residual[${at}] + ${result}` : result;
}

const tokenScale = ({ activations }: TernaryParams): string =>
  activations === "int8-per-token" ? "let token_scale = row_scales[token];" : "";

/**
 * WGSL that makes results of an invocation's totals and writes those that exist. It sees `row_j`, `first_column` and
 * `token_count`, the tokens that there are.
 * @param total WGSL of the total for token i and row j, f32
 */
export function resultStatements(
  params: TernaryParams,
  { tokensEach, rowsEach, localRow, token }: Tile,
  total: (i: number, j: number) => string,
): string {
  const columns = outputColumns(params);
  const columnsEach = tileColumns(params, rowsEach);
  const lines: string[] = [];
  for (let j = 0; j < rowsEach; j++) {
    lines.push(`let factor_${j} = row_factor(row_${j});`);
    if (hasBias(params)) lines.push(`let bias_${j} = bias_of(row_${j});`);
    if (j < columnsEach) lines.push(`let column_${j} = first_column + ${localRow(j)};`);
  }
  const result = (i: number, j: number): string => resultOf(params, total(i, j), `factor_${j}`, `bias_${j}`);
  for (let i = 0; i < tokensEach; i++) {
    lines.push(`if (${token(i)} < token_count) {`, `  let token = ${token(i)};`, `  ${tokenScale(params)}`);
    for (let j = 0; j < columnsEach; j++) {
      const at = `token * ${columns}u + column_${j}`;
      const element = elementOf(params, result(i, j), result(i, j + columnsEach), at);
      lines.push(`  if (column_${j} < ${columns}u) { out[${at}] = ${element}; }`);
    }
    lines.push("}");
  }
  return lines.join("\n  ");
}

/** Whether there are weights to multiply. */
export const hasRows = (params: TernaryParams): boolean => weightRows(params) > 0;
