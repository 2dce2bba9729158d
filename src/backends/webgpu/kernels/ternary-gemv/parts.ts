import { laneArguments, teamReduction } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { outputColumns, type TernaryParams } from "../ternary.ts";
import { hasBias, isGrouped } from "../ternary-results.ts";
import { type Division, isInteger } from "./tuning.ts";

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Rows of weights that a team computes: with a gate those of gate, then those of up. */
export const rowsPerTeam = ({ epilogue }: TernaryParams, { columnsPerTeam }: Division): number =>
  epilogue.kind === "gate" ? 2 * columnsPerTeam : columnsPerTeam;

/** WGSL of a function that loads a vector of a row; what is beyond the row adds nothing to a sum. */
export function loadDeclaration(params: TernaryParams, division: Division): string {
  const { team, chunk, chunks, vectors, loadsAhead } = division;
  const isWhole = !loadsAhead || (chunks === 1 && team * chunk === vectors);
  const nothing = isInteger(params) ? "0u" : "0x55555555u";
  return `fn load_weights(row: u32, vector: u32) -> vec4<u32> {
  ${isWhole ? "" : `if (vector >= ${vectors}u) { return vec4<u32>(${nothing}); }`}
  return weights[row * ${vectors}u + vector];
}`;
}

/** WGSL that loads a chunk of each row, from vector `first` on, into `w_row_j`. */
export const loadChunk = (
  { team, chunk }: Division,
  rows: number,
  declaration: "var " | "",
  first: string,
): string =>
  range(chunk)
    .flatMap((j) =>
      range(rows).map((r) => `${declaration}w_${r}_${j} = load_weights(row_${r}, ${first} + ${team * j}u);`),
    )
    .join("\n  ");

/** WGSL functions and variables for `results`. */
export function sumDeclaration(params: TernaryParams, target: Target, division: Division): string {
  const { team, workgroupSize } = division;
  const type = isInteger(params) ? "i32" : "f32";
  return target.reduction === "workgroup"
    ? `var<workgroup> team_parts: array<${type}, ${workgroupSize * rowsPerTeam(params, division)}>;`
    : teamReduction(target, { name: "team_sum", type, combine: "add" }, team, workgroupSize);
}

/**
 * WGSL that loads what the results need besides the sums, for the column that the invocation will write: through
 * workgroup memory the first invocations write a column each, else the first members of every team.
 */
export function operands(params: TernaryParams, target: Target, division: Division): string {
  const { epilogue } = params;
  const columns = outputColumns(params);
  const { columnsPerTeam, columnsPerWorkgroup } = division;
  const [column, writers, invocation] =
    target.reduction === "workgroup"
      ? [`workgroup.x * ${columnsPerWorkgroup}u + local`, columnsPerWorkgroup, "local"]
      : ["first_column + member", columnsPerTeam, "member"];
  const lines = [
    `let column = ${column};`,
    `let is_writer = ${invocation} < ${writers}u && column < ${columns}u;`,
    `let row = min(column, ${columns - 1}u);`,
    "let factor = row_factor(row);",
  ];
  if (hasBias(params)) lines.push("let row_bias = bias_of(row);");
  if (epilogue.kind === "gate") {
    lines.push(`let up_factor = row_factor(row + ${columns}u);`);
    if (hasBias(params)) lines.push(`let up_bias = bias_of(row + ${columns}u);`);
  }
  if (epilogue.kind === "residual") lines.push(`let before = residual[workgroup.y * ${columns}u + row];`);
  return lines.join("\n  ");
}

/** WGSL that adds up the sums of a team's members and writes the elements of the output. */
export function results(params: TernaryParams, target: Target, division: Division): string {
  const { activations, epilogue } = params;
  const { team, workgroupSize, columnsPerTeam } = division;
  const rows = range(rowsPerTeam(params, division));
  const isGate = epilogue.kind === "gate";
  const result = (name: string, factor: string, bias: string): string => {
    const total = isInteger(params) ? `f32(${name} - code_sum)` : name;
    const product =
      activations === "float"
        ? `${total} * ${factor}`
        : `${total} / (token_scale${isGrouped(params) && params.segments.every(({ scale }) => scale === "group") ? "" : ` * ${factor}`})`;
    return hasBias(params) ? `(${product}) + ${bias}` : product;
  };
  const writes = [
    `let value = ${result("total", "factor", "row_bias")};`,
    ...(isGate ? [`let up = ${result("up_total", "up_factor", "up_bias")};`] : []),
    `out[workgroup.y * ${outputColumns(params)}u + column] = ${
      isGate ? "gate_function(value) * up" : epilogue.kind === "residual" ? "before + value" : "value"
    };`,
  ].join("\n    ");

  if (target.reduction === "workgroup") {
    const total = (name: string, first: number): string => `var ${name} = team_parts[first + ${first}u];
    for (var i = 1u; i < ${team}u; i++) { ${name} += team_parts[first + ${first}u + i]; }`;
    return `${rows.map((r) => `team_parts[${r * workgroupSize}u + local] = sum_${r};`).join("\n  ")}
  workgroupBarrier();
  if (is_writer) {
    let first = (local % ${columnsPerTeam}u) * ${workgroupSize}u + local / ${columnsPerTeam}u * ${team}u;
    ${total("total", 0)}
    ${isGate ? total("up_total", columnsPerTeam * workgroupSize) : ""}
    ${writes}
  }`;
  }
  /** The total of the row that the invocation writes, among `columnsPerTeam` rows. */
  const own = (first: number): string =>
    range(columnsPerTeam - 1).reduce(
      (chosen, i) => `select(${chosen}, total_${first + i + 1}, member == ${i + 1}u)`,
      `total_${first}`,
    );
  return `${rows.map((r) => `let total_${r} = team_sum(sum_${r}, ${laneArguments(target)});`).join("\n  ")}
  if (is_writer) {
    let total = ${own(0)};
    ${isGate ? `let up_total = ${own(columnsPerTeam)};` : ""}
    ${writes}
  }`;
}
