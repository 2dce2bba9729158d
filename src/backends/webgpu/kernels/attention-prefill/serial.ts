import { lines, lowest, rowStart, type VectorWidth } from "../../attention.ts";
import {
  type SerialAttention,
  serialDeclarations,
  serialResults,
  serialState,
  serialThreads,
  serialTile,
} from "../../attention-serial.ts";
import { wgslFloat, wgslSize } from "../../wgsl.ts";
import { type AttentionPrefillParams, isSeen, keyRange, scoreOf, sharing } from "./params.ts";

/** Queries of a workgroup: neighbouring heads of a token, then of the next. */
export const serialQueries = 8;

/** A shader for adapters that run shaders on the CPU. */
export function serialParts(
  params: AttentionPrefillParams,
  vector: VectorWidth,
): { declarations: string; body: string } {
  const { width, valueWidth, scale, tokens, mask } = params;
  const rows = serialQueries;
  const heads = sharing(params);
  const units = width / vector;
  const total = `(${wgslSize(tokens)} * ${heads}u)`;
  const tokenOf = (r: number | string): string => `(min(first_row + ${r}u, ${total} - 1u) / ${heads}u)`;
  const headOf = (r: number | string): string =>
    `(key_head * ${heads}u + min(first_row + ${r}u, ${total} - 1u) % ${heads}u)`;
  const attention: SerialAttention = {
    vector,
    rows,
    width,
    valueWidth,
    key: params.key,
    value: params.value,
    score: (r, product) => {
      const seen = isSeen(params, "key", `(${wgslSize(params.first)} + ${tokenOf(r)})`);
      if (mask === undefined) return `select(${lowest}, ${scoreOf(params, product, "key")}, ${seen})`;
      return `score_of(${product}, ${headOf(r)}, ${tokenOf(r)}, key)`;
    },
  };
  // Above `lowest`, which would hide the key.
  const scoring =
    mask === undefined
      ? ""
      : `fn score_of(product: f32, head: u32, token: u32, key: u32) -> f32 {
  if (!(${isSeen(params, "key", `(${wgslSize(params.first)} + token)`)}) || !is_shown(head, token, key)) { return ${lowest}; }
  return max(${scoreOf(params, "product", "key")}, -0x1.fffffcp+127f);
}
`;
  const body = `
  let key_head = workgroup.y;
  let first_row = workgroup.x * ${rows}u;
  let first_token = ${tokenOf(0)};
  let last_token = ${tokenOf(rows - 1)};
  ${keyRange(params)}
  for (var i = local; i < ${rows * units}u; i += ${serialThreads}u) {
    let row = min(first_row + i / ${units}u, ${total} - 1u);
    let token = row / ${heads}u;
    let head = key_head * ${heads}u + row % ${heads}u;
    queries[i] = ${params.query.binding}[${rowStart(params.query, vector, "token", "head")} + i % ${units}u] * ${wgslFloat(scale)};
  }
  ${serialState(attention)}
  for (var tile = earliest; tile < to; tile += ${serialThreads}u) {
    workgroupBarrier();
    ${serialTile(attention)}
  }
  workgroupBarrier();
  if (local < ${rows}u) { of_rows[local] = select(0.0, 1.0 / total, total > 0.0); }
  workgroupBarrier();
  ${lines(rows, (r) => `let base_${r} = ${rowStart(params.out, vector, tokenOf(r), headOf(r))};`)}
  ${serialResults(attention, (r, unit, sum) => `if (first_row + ${r}u < ${total}) { out[base_${r} + ${unit}] = ${sum} * of_rows[${r}]; }`)}`;
  return { declarations: `${scoring}${serialDeclarations(attention)}`, body };
}
