import { defineKernel } from "../../kernel.ts";
import { defaultLimits, type Target } from "../../target.ts";
import { type ShaderText, shader } from "../../wgsl.ts";
import { type RowNorm, rowBindings, rowStages, stageBytes, unitParts } from "../quantize-rows/row.ts";
import { outputColumns, type TernaryParams, weightRows } from "../ternary.ts";
import { hasBias, hasRows, resultDeclarations } from "../ternary-results.ts";
import { loadChunk, loadDeclaration, operands, results, rowsPerTeam, sumDeclaration } from "./parts.ts";
import { addProducts, productDeclarations, unitPlace, valuesPlace } from "./products.ts";
import { type Division, divisionOf, isInteger } from "./tuning.ts";

export interface TernaryGemvParams extends TernaryParams {
  /** The input is normed as nn.rms_norm does before it is multiplied. */
  readonly norm?: RowNorm;
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Bytes of workgroup memory besides those of the input row. */
const otherBytes = (params: TernaryParams, target: Target, division: Division): number =>
  stageBytes(target, division.workgroupSize) +
  (target.reduction === "workgroup" ? 4 * division.workgroupSize * rowsPerTeam(params, division) : 0);

/** Bytes of the input row in workgroup memory. */
const rowBytes = ({ activations }: TernaryParams, { vectors }: Division): number =>
  64 * vectors * (activations === "float" ? 4 : 1);

const fits = (params: TernaryParams, target: Target, division: Division): boolean =>
  rowBytes(params, division) + otherBytes(params, target, division) <=
  defaultLimits.maxComputeWorkgroupStorageSize;

export const ternaryGemv = defineKernel<TernaryGemvParams>({
  name: "ternary-gemv",
  doc: `bitnet.linear for one or few tokens: every workgroup norms and quantises the input row by itself and computes some elements of the output row. Bindings, besides those of kernels/ternary.ts: x value f32 [rows, depth]; with a norm, norm_scale constant f32 [depth], and x / √(mean(x²) + eps) · norm_scale is multiplied.
int8-per-token: codes q and s as in quantize-rows, out = Σ q · t / (s · (1 / scale)), or Σ_g scale_g · Σ q · t / s; float: out = Σ x · t · scale. Then + bias, and the epilogue.`,
  class: "matmul",
  supports(params, target) {
    if (!hasRows(params)) return "There is nothing to compute.";
    const division = divisionOf(params, target);
    if (params.activations === "int8-per-token" && !fits(params, target, division))
      return `The codes of ${params.depth} inputs do not fit workgroup memory.`;
    if (16 * division.vectors * weightRows(params) > target.maxBindingSize)
      return `The weights need more than the ${target.maxBindingSize} bytes that one binding shows.`;
    return undefined;
  },
  build(params, target) {
    const { rows, depth, activations, epilogue, norm } = params;
    const division = divisionOf(params, target);
    const { workgroupSize, team, columnsPerTeam, columnsPerWorkgroup, vectors } = division;
    const columns = outputColumns(params);
    const teamRows = rowsPerTeam(params, division);
    const isInWorkgroup = fits(params, target, division);
    const rowNumbers = range(teamRows);
    const stages = rowStages(target, {
      depth,
      norm,
      workgroupSize,
      row: "workgroup.y",
      result:
        activations === "int8-per-token"
          ? {
              kind: "codes",
              store: (unit, words) =>
                unitParts(target) === 1
                  ? `store_codes(${unit}, ${words});`
                  : `codes[${unitPlace(division, unit)}] = ${words};`,
              isShared: true,
              sum: isInteger(params),
            }
          : {
              kind: "values",
              store: isInWorkgroup
                ? (part, values) => `values[${valuesPlace(division, part)}] = ${values};`
                : undefined,
            },
    });
    const sumType = isInteger(params) ? "i32" : "f32";
    const bindings: ShaderText["bindings"] = {
      ...rowBindings(depth, norm),
      weights: { type: "array<vec4<u32>>", access: "constant" },
      scales: { type: "array<f32>", access: "constant" },
      ...(hasBias(params) && { bias: { type: "array<f32>", access: "constant" } }),
      ...(epilogue.kind === "residual" && { residual: { type: "array<f32>", access: "value" } }),
      out: { type: "array<f32>", access: "value" },
    };

    return shader(target, {
      bindings,
      workgroupSize,
      workgroups: [Math.ceil(columns / columnsPerWorkgroup), rows, 1],
      declarations: [
        stages.declarations,
        resultDeclarations(params),
        productDeclarations(params),
        activations === "int8-per-token"
          ? `var<workgroup> codes: array<vec4<u32>, ${4 * vectors}>;
${unitParts(target) === 1 ? storeDeclaration(division) : ""}`
          : isInWorkgroup
            ? `var<workgroup> values: array<vec4<f32>, ${16 * vectors}>;`
            : "",
        loadDeclaration(params, division),
        sumDeclaration(params, target, division),
      ].join("\n"),
      body: `
  let member = local % ${team}u;
  let first_column = workgroup.x * ${columnsPerWorkgroup}u + local / ${team}u * ${columnsPerTeam}u;
  ${rowNumbers.map((r) => `let row_${r} = ${rowExpression(columns, columnsPerTeam, r)};`).join("\n  ")}
  ${stages.load}
  ${division.loadsAhead ? loadChunk(division, teamRows, "var ", "member") : ""}
  ${operands(params, target, division)}
  ${stages.finish}
  ${rowNumbers.map((r) => `var sum_${r}: ${sumType} = 0;`).join("\n  ")}
  ${productLoop(params, target, division, isInWorkgroup ? undefined : (part) => memoryValue(part, norm))}
  ${results(params, target, division)}`,
    });
  },
});

/** The row of weights that is row r of a team. Those beyond the last column are computed like the last. */
function rowExpression(columns: number, columnsPerTeam: number, r: number): string {
  const column = `min(first_column + ${r % columnsPerTeam}u, ${columns - 1}u)`;
  return r < columnsPerTeam ? column : `${column} + ${columns}u`;
}

/** WGSL that stores the codes of a part. A component chosen by index would be a write of the whole vector in HLSL. */
const storeDeclaration = (division: Division): string => `fn store_codes(part: u32, word: u32) {
  let place = ${unitPlace(division, "part >> 2u")};
  switch part & 3u {
    case 0u: { codes[place].x = word; }
    case 1u: { codes[place].y = word; }
    case 2u: { codes[place].z = word; }
    default: { codes[place].w = word; }
  }
}`;

function memoryValue(part: string, norm: RowNorm | undefined): string {
  const value = `x_part(workgroup.y, ${part})`;
  return norm ? `(${value} * norm_factor) * norm_scale_part(${part})` : value;
}

/** Sums up the products of all vectors that are this invocation's. */
function productLoop(
  params: TernaryParams,
  target: Target,
  division: Division,
  valueAt: ((part: string) => string) | undefined,
): string {
  const { team, chunk, chunks, vectors, loadsAhead } = division;
  const rows = range(rowsPerTeam(params, division));
  const add = (vector: string, weights: (row: number) => string): string =>
    addProducts(
      params,
      target,
      division,
      valueAt,
      vector,
      rows.map((r) => ({ row: `row_${r}`, weights: weights(r), sum: `sum_${r}` })),
    );
  if (!loadsAhead)
    return `for (var at = member; at < ${vectors}u; at += ${team}u) {
    ${rows.map((r) => `let w_${r} = load_weights(row_${r}, at);`).join("\n    ")}
    ${add("at", (r) => `w_${r}`)}
  }`;
  const step = team * chunk;
  if (chunks === 1)
    return range(chunk)
      .map((j) => add(`member + ${team * j}u`, (r) => `w_${r}_${j}`))
      .join("\n  ");
  return `for (var at = member; at < ${step * chunks}u; at += ${step}u) {
    ${rows.flatMap((r) => range(chunk).map((j) => `let now_${r}_${j} = w_${r}_${j};`)).join("\n    ")}
    ${loadChunk(division, rows.length, "", `at + ${step}u`)}
    ${range(chunk)
      .map((j) => add(`at + ${team * j}u`, (r) => `now_${r}_${j}`))
      .join("\n    ")}
  }`;
}
