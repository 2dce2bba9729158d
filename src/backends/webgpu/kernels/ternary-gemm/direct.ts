import { ceilDivideDims } from "../../../../tensor/dim.ts";
import type { KernelCode } from "../../kernel.ts";
import type { Target } from "../../target.ts";
import { shader, wgslSize } from "../../wgsl.ts";
import { blocksOf, blockWeights, blockWords, outputColumns, type TernaryParams } from "../ternary.ts";
import {
  isGrouped,
  resultDeclarations,
  resultStatements,
  rowStatements,
  type Tile,
  tileColumns,
} from "../ternary-results.ts";
import { bindingsOf, fourWeightsDeclaration, valuesDeclaration } from "./operands.ts";
import { type Sums, sumsOf } from "./sums.ts";

/** Shapes to tune: larger ones take longer to compile and no less time to run on lavapipe. */
const tokensEach = 4;
const rowsEach = 4;
const workgroupSize = 32;

/** Weights and words of half a block. */
const halfWeights = 128;
const halfWords = 8;
/** Codes of a byte; those of a half block's byte are 32 weights apart. */
const levels = 4;

/** Up to here a sum of products of codes is an integer that f32 holds: 2^7 · 2^17. */
export const directDepth = 2 ** 17;

const tile: Tile = {
  rows: workgroupSize * rowsEach,
  tokensEach,
  rowsEach,
  localRow: (j) => `local + ${j * workgroupSize}u`,
  token: (i) => `(first_token + ${i}u)`,
};

const range = (length: number): number[] => Array.from({ length }, (_, i) => i);

/**
 * Every invocation multiplies some tokens by some weight rows straight from memory. All of a workgroup have the same
 * tokens, so that where a vector register holds a value of each invocation, an activation is loaded once for all.
 */
export function directShader(params: TernaryParams, target: Target): KernelCode {
  const { rows, depth } = params;
  const columns = outputColumns(params);
  const columnsPerTile = tileColumns(params, tile.rows);
  const sums = sumsOf(params, tile, "f32");
  return shader(target, {
    bindings: bindingsOf(params, "array<u32>"),
    workgroupSize,
    workgroups: [ceilDivideDims(rows, tokensEach), Math.ceil(columns / columnsPerTile), 1],
    declarations: [
      resultDeclarations(params),
      fourWeightsDeclaration,
      params.activations === "float"
        ? valuesDeclaration(params, halvesOf(depth) * halfWeights)
        : codesDeclaration(depth),
    ].join("\n"),
    body: `
  let token_count = ${wgslSize(rows)};
  let first_token = workgroup.x * ${tokensEach}u;
  let first_column = workgroup.y * ${columnsPerTile}u;
  ${rowStatements(params, tile)}
  ${range(tokensEach)
    .map((i) => `let token_${i} = min(first_token + ${i}u, token_count - 1u);`)
    .join("\n  ")}
  ${sums.declarations}
  ${productLoops(params, sums)}
  ${resultStatements(params, tile, sums.total)}`,
  });
}

const halvesOf = (depth: number): number => Math.ceil(depth / halfWeights);

const codesDeclaration = (depth: number): string => `fn values_at(token: u32, quad: u32) -> vec4<f32> {
  let word = codes[token * ${(blocksOf(depth) * blockWeights) / 4}u + quad];
  return vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}`;

/**
 * WGSL that goes through all weights. A word of weights is loaded once for its four levels, unless groups end within
 * half a block: then weights come in the order of their numbers.
 */
function productLoops(params: TernaryParams, sums: Sums): string {
  const { depth, group } = params;
  const halves = halvesOf(depth);
  const loadWords = range(rowsEach)
    .map(
      (j) =>
        `let word_${j} = weights[row_${j} * ${blocksOf(depth) * blockWords}u + half * ${halfWords}u + m];`,
    )
    .join("\n      ");
  const forLevels = `for (var level = 0u; level < ${levels}u; level++)`;
  const forWords = `for (var m = 0u; m < ${halfWords}u; m++)`;
  const quad = `let quad = half * ${halfWeights / 4}u + level * ${halfWords}u + m;`;
  if (!isGrouped(params) || group % halfWeights === 0)
    return `for (var half = 0u; half < ${halves}u; half++) {
    ${forWords} {
      ${loadWords}
      ${forLevels} {
      ${quad}
      ${addProducts(sums)}
      }
    }
    ${isGrouped(params) ? sums.closeGroup("half", group / halfWeights) : ""}
  }
  ${isGrouped(params) ? sums.closeLastGroup(halves, group / halfWeights) : ""}`;
  const endsWithinWords = group % 4 !== 0;
  const perGroup = endsWithinWords ? group : group / 4;
  return `for (var half = 0u; half < ${halves}u; half++) {
    ${forLevels} {
    ${forWords} {
      ${loadWords}
      ${quad}
      ${endsWithinWords ? addProductsOneByOne(sums, group) : `${addProducts(sums)}\n      ${sums.closeGroup("quad", perGroup)}`}
    }
    }
  }
  ${sums.closeLastGroup((halves * halfWeights * perGroup) / group, perGroup)}`;
}

const loadWeights = (): string =>
  range(rowsEach)
    .map((j) => `let w_${j} = four_weights(word_${j} >> (level * 2u));`)
    .join("\n      ");

/** WGSL that adds the products of four weights of each row. */
const addProducts = ({ sum }: Sums): string => `${loadWeights()}
      ${range(tokensEach)
        .map((i) => {
          const additions = range(rowsEach).map((j) => {
            const total = ["x", "y", "z", "w"].reduce(
              (sum, k) => `fma(x.${k}, w_${j}.${k}, ${sum})`,
              sum(i, j),
            );
            return `${sum(i, j)} = ${total};`;
          });
          return `{ let x = values_at(token_${i}, quad);\n      ${additions.join("\n      ")} }`;
        })
        .join("\n      ")}`;

/** The same where a group may end after any of the four. */
const addProductsOneByOne = ({ sum, closeGroup }: Sums, group: number): string => `${loadWeights()}
      ${range(tokensEach)
        .map((i) => `let x_${i} = values_at(token_${i}, quad);`)
        .join("\n      ")}
      for (var part = 0u; part < 4u; part++) {
        ${range(tokensEach)
          .flatMap((i) => range(rowsEach).map((j) => `${sum(i, j)} += x_${i}[part] * w_${j}[part];`))
          .join("\n        ")}
        ${closeGroup("quad * 4u + part", group)}
      }`;
