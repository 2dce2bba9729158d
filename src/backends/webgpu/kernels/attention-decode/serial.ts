import { cacheRows, lines, lowest, rowStart, type VectorWidth } from "../../attention.ts";
import {
  type SerialAttention,
  serialDeclarations,
  serialResults,
  serialState,
  serialThreads,
  serialTile,
} from "../../attention-serial.ts";
import { wgslFloat } from "../../wgsl.ts";
import { type AttentionDecodeParams, headsTogether, partialWidth } from "./params.ts";

/**
 * A shader for adapters that run shaders on the CPU. It writes the new rows to the caches first and reads them there; every
 * group of query heads writes them, so that each sees its own.
 */
export function serialParts(
  params: AttentionDecodeParams,
  vector: VectorWidth,
): { declarations: string; body: string } {
  const { width, valueWidth, capacity, queryHeads, scale, softcap } = params;
  const [units, valueUnits] = [width / vector, valueWidth / vector];
  const rows = headsTogether(params);
  const keyCache = cacheRows("key_cache", capacity, width);
  const valueCache = cacheRows("value_cache", capacity, valueWidth);
  const attention: SerialAttention = {
    vector,
    rows,
    width,
    valueWidth,
    key: keyCache,
    value: valueCache,
    score: (_, product) =>
      `select(${lowest}, ${softcap > 0 ? `capped(${product})` : product}, key >= earliest && key < to)`,
  };
  const component = (i: number): string => (vector === 1 ? "" : `.${"xyzw"[i]}`);
  const body = `
  let to = min(end, position + 1u);
  for (var i = local; i < ${rows * units}u; i += ${serialThreads}u) {
    let head = workgroup.x * ${rows}u + i / ${units}u;
    let base = ${rowStart(params.query, vector, "0u", "head")};
    queries[i] = query_row(base, i % ${units}u, 0u, query_row_inverse(base)) * ${wgslFloat(scale)};
  }
  if (to > position) {
    let base = ${rowStart(params.key, vector, "0u", "key_head")};
    let inverse = key_row_inverse(base);
    for (var i = local; i < ${units}u; i += ${serialThreads}u) {
      key_cache[${rowStart(keyCache, vector, "position", "key_head")} + i] = key_row(base, i, 0u, inverse);
    }
    for (var i = local; i < ${valueUnits}u; i += ${serialThreads}u) {
      value_cache[${rowStart(valueCache, vector, "position", "key_head")} + i] =
        ${params.value.binding}[${rowStart(params.value, vector, "0u", "key_head")} + i];
    }
  }
  storageBarrier();
  workgroupBarrier();
  ${serialState(attention)}
  for (var tile = first; tile < to; tile += ${serialThreads}u) {
    ${serialTile(attention)}
    workgroupBarrier();
  }
  let row = (workgroup.y * ${queryHeads}u + workgroup.x * ${rows}u) * ${partialWidth(valueWidth)}u;
  ${serialResults(attention, (r, unit, sum) => lines(vector, (i) => `partials[row + ${r * partialWidth(valueWidth) + i}u + ${unit} * ${vector}u] = ${sum}${component(i)};`))}
  if (local < ${rows}u) {
    let at = row + local * ${partialWidth(valueWidth)}u + ${valueWidth}u;
    ${["largest", "total", "0.0", "0.0"].map((value, i) => `partials[at + ${i}u] = ${value};`).join("\n    ")}
  }`;
  return { declarations: serialDeclarations(attention), body };
}
