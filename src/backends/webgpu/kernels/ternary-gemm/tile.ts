import { ceilDivideDims } from "../../../../tensor/dim.ts";
import type { KernelCode } from "../../kernel.ts";
import { dotDeclaration } from "../../quantize.ts";
import type { Target } from "../../target.ts";
import { shader, wgslSize } from "../../wgsl.ts";
import { blocksOf, outputColumns, type TernaryParams } from "../ternary.ts";
import {
  isGrouped,
  resultDeclarations,
  resultStatements,
  rowStatements,
  type Tile,
  tileColumns,
  weightRow,
} from "../ternary-results.ts";
import { bindingsOf, fourWeightsDeclaration, valuesDeclaration } from "./operands.ts";
import { type Sums, sumsOf } from "./sums.ts";

/**
 * What a workgroup multiplies: `tokens` by `rows` of the weights, every invocation `tokensEach` by `rowsEach` of them.
 * Both operands' tiles together take (tokens + rows) · 128 bytes of workgroup memory, of which there are 16384; there
 * are as many invocations as divide `rows` · 2 and `tokens` · 8, and multiples of eight of them along either side.
 */
export interface TileShape {
  readonly tokens: number;
  readonly rows: number;
  readonly tokensEach: number;
  readonly rowsEach: number;
}

/** To tune. Where four products are many instructions, waiting for operands is soon hidden, and tiles may be small. */
const shapes = {
  packedDot: { tokens: 64, rows: 64, tokensEach: 8, rowsEach: 4 },
  other: { tokens: 32, rows: 32, tokensEach: 4, rowsEach: 4 },
} as const;

/** Neighbouring invocations: eight along rows by four along tokens, 32 in all, which is a subgroup on many GPUs. */
const neighbourRows = 8;
const neighbourTokens = 4;

/** A unit is 16 bytes of activations or of unpacked weights, and a step has eight of each token and each row. */
const unitsPerStep = 8;
/** Vectors of 16 bytes of codes in half a block of weights, which is 128. */
const vectorsPerHalf = 2;

interface Division extends Tile {
  readonly tokens: number;
  readonly tokenLanes: number;
  readonly rowLanes: number;
  readonly workgroupSize: number;
  /** Vectors of codes, and units of activations, that an invocation loads in a step. */
  readonly weightLoads: number;
  readonly tokenLoads: number;
}

function divide(shape: TileShape): Division {
  const tokenLanes = shape.tokens / shape.tokensEach;
  const rowLanes = shape.rows / shape.rowsEach;
  const workgroupSize = tokenLanes * rowLanes;
  return {
    ...shape,
    tokenLanes,
    rowLanes,
    workgroupSize,
    weightLoads: (shape.rows * vectorsPerHalf) / workgroupSize,
    tokenLoads: (shape.tokens * unitsPerStep) / workgroupSize,
    localRow: (j) => `row_lane + ${j * rowLanes}u`,
    token: (i) => `(first_token + token_lane + ${i * tokenLanes}u)`,
  };
}

/** The ways of the two kinds of activations. Expressions are WGSL. */
interface Operands {
  /** Of a unit. */
  readonly type: "vec4<u32>" | "vec4<f32>";
  readonly elementsPerUnit: number;
  readonly sum: Sums["type"];
  /** Functions. */
  declarations(params: TernaryParams, target: Target, elements: number): string;
  /** The vector of a row's codes that is loaded in a step. */
  vector(step: string): string;
  /** Statements that put the units of `code`, an invocation's vector of codes, to row `row` of the tile. */
  putWeights(row: string, code: string): string;
  /** Unit `unit` of a token's row. */
  loadUnit(params: TernaryParams, token: string, unit: string): string;
  multiply(a: string, b: string): string;
  /**
   * Unit k of row r lies where row r ^ place(k) would be, so that neither invocations that write units of a few rows
   * nor those that read a unit of many rows meet in a bank. A permutation of 0 to 7.
   */
  place(k: string): string;
}

const quarters = [0, 1, 2, 3];

const operands: Readonly<Record<TernaryParams["activations"], Operands>> = {
  "int8-per-token": {
    type: "vec4<u32>",
    elementsPerUnit: 16,
    sum: "i32",
    // The top bits keep the borrow of code 0 within its byte.
    declarations: (_, target) => `${dotDeclaration(target)}
fn signed_weights(codes: vec4<u32>) -> vec4<u32> {
  return (((codes & vec4<u32>(0x03030303u)) | vec4<u32>(0x80808080u)) - vec4<u32>(0x01010101u)) ^ vec4<u32>(0x80808080u);
}`,
    vector: (step) => `(${step}) * ${vectorsPerHalf}u`,
    putWeights: (row, code) =>
      quarters
        .map(
          (level) =>
            `put_weights(${row}, local % 2u + ${2 * level}u, signed_weights(${code} >> vec4<u32>(${2 * level}u)));`,
        )
        .join("\n    "),
    loadUnit: ({ depth }, token, unit) => `codes[${token} * ${blocksOf(depth) * 16}u + ${unit}]`,
    multiply: (a, b) =>
      ["x", "y", "z", "w"].map((word) => `dot_codes(${a}.${word}, ${b}.${word})`).join(" + "),
    place: (k) => `((${k} >> 1u) | ((${k} & 1u) << 2u))`,
  },
  float: {
    type: "vec4<f32>",
    elementsPerUnit: 4,
    sum: "f32",
    declarations: (params, _, elements) =>
      `${fourWeightsDeclaration}\n${valuesDeclaration(params, elements)}`,
    // Four steps make half a block; each takes one of the four codes of every byte.
    vector: (step) => `((${step}) >> 2u) * ${vectorsPerHalf}u`,
    putWeights: (row, code) =>
      quarters
        .map(
          (word) =>
            `put_weights(${row}, (local % 2u) * 4u + ${word}u, four_weights(${code}[${word}] >> ((step & 3u) * 2u)));`,
        )
        .join("\n    "),
    loadUnit: (_, token, unit) => `values_at(${token}, ${unit})`,
    multiply: (a, b) => `dot(${a}, ${b})`,
    place: (k) => k,
  },
};

/** Whether groups of weights end where units do. */
export const tileSupportsGroups = (params: TernaryParams): boolean =>
  !isGrouped(params) || params.group % operands[params.activations].elementsPerUnit === 0;

const range = (length: number): number[] => Array.from({ length }, (_, i) => i);

/** WGSL of which of a tile's rows, or tokens, an invocation's load n is for; each has `each` loads in a step. */
const ofLoad = (each: number, n: number, { workgroupSize }: Division): string =>
  `(local / ${each}u + ${(n * workgroupSize) / each}u)`;

/** Tiles of both operands go through workgroup memory; the next step's are on their way while one is multiplied. */
export function tiledShader(
  params: TernaryParams,
  target: Target,
  shape: TileShape = target.packedDot ? shapes.packedDot : shapes.other,
): KernelCode {
  const { rows, depth, activations } = params;
  const kind = operands[activations];
  const tile = divide(shape);
  const { tokenLanes, rowLanes, workgroupSize, weightLoads, tokenLoads } = tile;
  const weightOfLoad = (n: number): string => ofLoad(vectorsPerHalf, n, tile);
  const tokenOfLoad = (n: number): string => ofLoad(unitsPerStep, n, tile);
  const stepElements = kind.elementsPerUnit * unitsPerStep;
  const steps = Math.ceil(depth / stepElements);
  const columnsPerTile = tileColumns(params, tile.rows);
  const sums = sumsOf(params, tile, kind.sum);
  const load = (step: string): string =>
    [
      ...range(weightLoads).map((n) => `code_${n} = weights[weights_from_${n} + ${kind.vector(step)}];`),
      ...range(tokenLoads).map(
        (n) =>
          `unit_${n} = ${kind.loadUnit(params, `token_${n}`, `((${step}) * ${unitsPerStep}u + local % ${unitsPerStep}u)`)};`,
      ),
    ].join("\n    ");

  return shader(target, {
    bindings: bindingsOf(params, "array<vec4<u32>>"),
    workgroupSize,
    workgroups: [ceilDivideDims(rows, tile.tokens), Math.ceil(outputColumns(params) / columnsPerTile), 1],
    declarations: [
      tileDeclaration("tokens", kind, tile.tokensEach, tokenLanes),
      tileDeclaration("weights", kind, tile.rowsEach, rowLanes),
      kind.declarations(params, target, steps * stepElements),
      resultDeclarations(params),
    ].join("\n"),
    body: `
  let token_count = ${wgslSize(rows)};
  let first_token = workgroup.x * ${tile.tokens}u;
  let first_column = workgroup.y * ${columnsPerTile}u;
  let neighbours = local / ${neighbourRows * neighbourTokens}u;
  let row_lane = local % ${neighbourRows}u + (neighbours % ${rowLanes / neighbourRows}u) * ${neighbourRows}u;
  let token_lane = (local / ${neighbourRows}u) % ${neighbourTokens}u + (neighbours / ${rowLanes / neighbourRows}u) * ${neighbourTokens}u;
  ${rowStatements(params, tile)}
  ${range(weightLoads)
    .map(
      (n) =>
        `let weights_from_${n} = ${weightRow(params, tile.rows, weightOfLoad(n))} * ${blocksOf(depth) * 4}u + local % ${vectorsPerHalf}u;
  var code_${n}: vec4<u32>;`,
    )
    .join("\n  ")}
  ${range(tokenLoads)
    .map(
      (n) => `let token_${n} = min(first_token + ${tokenOfLoad(n)}, token_count - 1u);
  var unit_${n}: ${kind.type};`,
    )
    .join("\n  ")}
  ${sums.declarations}
  ${load("0u")}
  for (var step = 0u; step < ${steps}u; step++) {
    workgroupBarrier();
    ${range(weightLoads)
      .map((n) => kind.putWeights(weightOfLoad(n), `code_${n}`))
      .join("\n    ")}
    ${range(tokenLoads)
      .map((n) => `put_tokens(${tokenOfLoad(n)}, local % ${unitsPerStep}u, unit_${n});`)
      .join("\n    ")}
    workgroupBarrier();
    if (step + 1u < ${steps}u) {
    ${load("step + 1u")}
    }
    ${multiplyStep(params, kind, tile, sums)}
  }
  ${isGrouped(params) ? sums.closeLastGroup(steps * unitsPerStep, params.group / kind.elementsPerUnit) : ""}
  ${resultStatements(params, tile, sums.total)}`,
  });
}

/** WGSL that multiplies what is in the tiles. */
function multiplyStep(
  params: TernaryParams,
  kind: Operands,
  { tokensEach, rowsEach }: Tile,
  sums: Sums,
): string {
  const unitsPerGroup = params.group / kind.elementsPerUnit;
  const closesWithinSteps = isGrouped(params) && unitsPerGroup % unitsPerStep !== 0;
  const closesAfterSteps = isGrouped(params) && !closesWithinSteps;
  const products = range(tokensEach).map((i) => {
    const additions = range(rowsEach).map(
      (j) => `${sums.sum(i, j)} = ${sums.sum(i, j)} + ${kind.multiply("x", `w_${j}`)};`,
    );
    return `{ let x = tile_of_tokens[k][${i}][token_place];
        ${additions.join("\n        ")} }`;
  });
  return `for (var k = 0u; k < ${unitsPerStep}u; k++) {
      let place = ${kind.place("k")};
      let token_place = token_lane ^ place;
      let row_place = row_lane ^ place;
      ${range(rowsEach)
        .map((j) => `let w_${j} = tile_of_weights[k][${j}][row_place];`)
        .join("\n      ")}
      ${products.join("\n      ")}
      ${closesWithinSteps ? sums.closeGroup(`step * ${unitsPerStep}u + k`, unitsPerGroup) : ""}
    }
    ${closesAfterSteps ? sums.closeGroup("step", unitsPerGroup / unitsPerStep) : ""}`;
}

/**
 * WGSL of a tile in workgroup memory and of what writes to it. Its rows are in as many arrays as an invocation reads
 * rows, so that its reads differ by constants alone and what keeps an index in bounds is computed once for all of them.
 */
const tileDeclaration = (name: string, { type, place }: Operands, each: number, lanes: number): string =>
  `var<workgroup> tile_of_${name}: array<array<array<${type}, ${lanes}>, ${each}>, ${unitsPerStep}>;
fn put_${name}(row: u32, unit: u32, value: ${type}) {
  tile_of_${name}[unit][row / ${lanes}u][(row % ${lanes}u) ^ ${place("unit")}] = value;
}`;
