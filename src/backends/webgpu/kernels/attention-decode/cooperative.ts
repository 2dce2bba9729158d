import {
  cacheRows,
  dotProduct,
  lines,
  lowest,
  rowStart,
  type VectorWidth,
  vectorType,
} from "../../attention.ts";
import { laneArguments, teamReduction, teamSize } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { wgslFloat } from "../../wgsl.ts";
import { type AttentionDecodeParams, groupsOf, headsTogether, partialWidth } from "./params.ts";

export const cooperativeThreads = 256;

/** Invocations that share the product with a key, at most. */
const mostTeam = 16;
const mostValueGroups = 32;

/**
 * Vectors in which values are read: small where there are many heads, whose sums of all invocations must fit into workgroup
 * memory.
 */
export const cooperativeValueVector = (params: AttentionDecodeParams, vector: VectorWidth): VectorWidth =>
  headsTogether(params) > 4 || vector === 1 ? 1 : 2;

/**
 * A shader whose loads of a chunk's keys and values are on their way while it computes what comes before: the query, or
 * the chunk before. Teams of invocations multiply a key with all query heads that share it; then each invocation weighs
 * the same few columns of every few values.
 */
export function cooperativeParts(
  params: AttentionDecodeParams,
  vector: VectorWidth,
  target: Target,
): { declarations: string; body: string } {
  const { width, valueWidth, capacity, chunk, queryHeads, keyHeads, scale, softcap } = params;
  const [type, units] = [vectorType(vector), width / vector];
  const heads = headsTogether(params);
  const quads = Math.ceil(heads / 4);
  const groups = groupsOf(params) / keyHeads;
  const hasSubgroups = target.reduction === "subgroup";
  const team = teamSize(target, Math.min(mostTeam, cooperativeThreads / chunk));
  const loads = Math.ceil(units / team);
  const valueVector = cooperativeValueVector(params, vector);
  const columns = valueWidth / valueVector;
  const valueGroups = Math.min(mostValueGroups, Math.floor(cooperativeThreads / columns));
  const valueLoads = Math.ceil(chunk / valueGroups);
  const keyCache = rowStart(cacheRows("key_cache", capacity, width), vector, "at", "key_head");
  const valueCache = rowStart(cacheRows("value_cache", capacity, valueWidth), valueVector, "at", "key_head");
  const partsSize = hasSubgroups ? 0 : cooperativeThreads * heads;
  const head = (h: number): string => `${Math.floor(h / 4)}.${"xyzw"[h % 4]}`;
  const component = (c: number): string => (valueVector === 1 ? "" : `.${"xy"[c]}`);
  const inTeam = (i: number): string => `member + ${i * team}u`;
  /** The last load of a team may go beyond the row. */
  const isPartial = (i: number): boolean => (i + 1) * team > units;
  const guarded = (i: number, text: string): string =>
    isPartial(i) ? `if (${inTeam(i)} < ${units}u) { ${text} }` : text;
  const queryUnit = (i: number): string => (isPartial(i) ? `min(${inTeam(i)}, ${units - 1}u)` : inTeam(i));
  const keyGuard = cooperativeThreads / team > chunk ? ` && key < ${chunk}u` : "";
  const rowGuard = (i: number): string =>
    (i + 1) * valueGroups > chunk ? ` && value_group + ${i * valueGroups}u < ${chunk}u` : "";
  const isColumn = columns * valueGroups < cooperativeThreads ? ` && value_group < ${valueGroups}u` : "";
  const scoreOf = (h: number): string =>
    h >= heads ? "0.0" : softcap > 0 ? `capped(score_${h})` : `score_${h}`;
  const scoresOf = (q: number, key: string): string =>
    `select(vec4<f32>(${lowest}), vec4<f32>(${lines(4, (h) => scoreOf(4 * q + h), ", ")}), is_seen(at_chunk + ${key}, earliest, position))`;

  const declarations = `
/** Of the query heads, then of the new key. */
var<workgroup> rows: array<${type}, ${(heads + 1) * units}>;
var<workgroup> scores: array<vec4<f32>, ${chunk * quads}>;
var<workgroup> weights: array<vec4<f32>, ${chunk * quads}>;
var<workgroup> sums: array<f32, ${Math.max(partsSize, valueGroups * heads * valueWidth)}>;
var<workgroup> totals: array<vec4<f32>, ${valueGroups * quads}>;
var<workgroup> largest: array<vec4<f32>, ${quads}>;
fn is_seen(at: u32, earliest: u32, position: u32) -> bool { return at >= earliest && at <= position; }
fn new_value(base: u32, column: u32) -> ${vectorType(valueVector)} {
  ${newValue(params.value.binding, vector, valueVector)}
}
${hasSubgroups ? teamReduction(target, { name: "team_sum", type: "f32", combine: "add" }, team, cooperativeThreads) : ""}`;

  const shareScores = hasSubgroups
    ? `${lines(heads, (h) => `let score_${h} = team_sum(product_${h}, ${laneArguments(target)});`)}
  if (member == 0u${keyGuard}) {
    ${lines(quads, (q) => `scores[key * ${quads}u + ${q}u] = ${scoresOf(q, "key")};`)}
  }`
    : `${lines(heads, (h) => `sums[${h * cooperativeThreads}u + local] = product_${h};`)}
  workgroupBarrier();
  if (local < ${chunk}u) {
    ${lines(heads, (h) => `let score_${h} = ${lines(team, (i) => `sums[${h * cooperativeThreads + i}u + local * ${team}u]`, " + ")};`)}
    ${lines(quads, (q) => `scores[local * ${quads}u + ${q}u] = ${scoresOf(q, "local")};`)}
  }`;

  const loadChunk = (from: string): string => `{
    let at = ${from} + key;
    let base = ${keyCache} + member;
    if (at >= earliest && at < position${keyGuard}) {
      ${lines(loads, (i) => guarded(i, `key_${i} = key_cache[base + ${i * team}u];`))}
    }
  }
  ${lines(
    valueLoads,
    (i) => `{
    let at = ${from} + value_group + ${i * valueGroups}u;
    value_${i} = ${vectorType(valueVector)}();
    if (at >= earliest && at < position${rowGuard(i)}${isColumn}) { value_${i} = value_cache[${valueCache} + column]; }
  }`,
  )}`;

  const body = `
  let member = local % ${team}u;
  let key = local / ${team}u;
  let column = local % ${columns}u;
  let value_group = local / ${columns}u;
  ${lines(loads, (i) => `var key_${i} = ${type}();`)}
  ${lines(valueLoads, (i) => `var value_${i} = ${vectorType(valueVector)}();`)}
  ${loadChunk("first")}
  let is_last = position < end;
  var value_new = ${vectorType(valueVector)}();
  if (is_last && value_group == 0u) {
    value_new = new_value(${rowStart(params.value, vector, "0u", "key_head")}, column);
    let at = position;
    if (workgroup.x % ${groups}u == 0u) { value_cache[${valueCache} + column] = value_new; }
  }
  for (var i = local; i < ${(heads + 1) * units}u; i += ${cooperativeThreads}u) {
    let unit = i % ${units}u;
    if (i < ${heads * units}u) {
      let head = workgroup.x * ${heads}u + i / ${units}u;
      let base = ${rowStart(params.query, vector, "0u", "head")};
      rows[i] = query_row(base, unit, 0u, query_row_inverse(base)) * ${wgslFloat(scale)};
    } else if (is_last) {
      let base = ${rowStart(params.key, vector, "0u", "key_head")};
      let rotated = key_row(base, unit, 0u, key_row_inverse(base));
      rows[i] = rotated;
      let at = position;
      if (workgroup.x % ${groups}u == 0u) { key_cache[${keyCache} + unit] = rotated; }
    }
  }
  ${lines(quads, (q) => `var largest_${q} = vec4<f32>(${lowest});\n  var total_${q} = vec4<f32>();`)}
  ${lines(heads, (h) => `var sum_${h} = ${vectorType(valueVector)}();`)}
  workgroupBarrier();

  for (var at_chunk = first; at_chunk < end; at_chunk += ${chunk}u) {
    ${lines(loads, (i) => `var now_${i} = key_${i};`)}
    ${lines(valueLoads, (i) => `let value_now_${i} = value_${i};`)}
    if (at_chunk + ${chunk}u < end) {
      ${loadChunk(`at_chunk + ${chunk}u`)}
    }
    if (at_chunk + key == position${keyGuard}) {
      ${lines(loads, (i) => guarded(i, `now_${i} = rows[${heads * units}u + ${inTeam(i)}];`))}
    }
    ${lines(
      heads,
      (h) =>
        `let product_${h} = ${lines(loads, (i) => dotProduct(vector, `rows[${h * units}u + ${queryUnit(i)}]`, `now_${i}`), " + ")};`,
    )}
    ${shareScores}
    workgroupBarrier();

    if (local < ${chunk}u) {
      ${lines(
        quads,
        (q) => `{
        var most = largest_${q};
        ${lines(chunk, (j) => `most = max(most, scores[${j * quads + q}]);`)}
        let weight = exp(scores[local * ${quads}u + ${q}u] - most);
        weights[local * ${quads}u + ${q}u] = select(vec4<f32>(), weight, is_seen(at_chunk + local, earliest, position));
        if (local == 0u) { largest[${q}] = most; }
      }`,
      )}
    }
    workgroupBarrier();

    ${lines(
      quads,
      (q) => `let rescale_${q} = exp(largest_${q} - largest[${q}]);
    largest_${q} = largest[${q}];
    total_${q} *= rescale_${q};`,
    )}
    ${lines(heads, (h) => `sum_${h} *= rescale_${head(h)};`)}
    ${lines(
      valueLoads,
      (i) => `${rowGuard(i) === "" ? "" : `if (${rowGuard(i).slice(4)}) `}{
      let row = (value_group + ${i * valueGroups}u) * ${quads}u;
      ${lines(quads, (q) => `let weight_${q} = weights[row + ${q}u]; total_${q} += weight_${q};`)}
      ${lines(heads, (h) => `sum_${h} += weight_${head(h)} * value_now_${i};`)}
    }`,
    )}
  }
  if (is_last && value_group == 0u) {
    let row = (position % ${chunk}u) * ${quads}u;
    ${lines(quads, (q) => `let weight_${q} = weights[row + ${q}u];`)}
    ${lines(heads, (h) => `sum_${h} += weight_${head(h)} * value_new;`)}
  }
  ${isColumn === "" ? "" : `if (${isColumn.slice(4)}) `}{
    let at = value_group * ${heads * valueWidth}u + column * ${valueVector}u;
    ${lines(heads, (h) => lines(valueVector, (c) => `sums[at + ${h * valueWidth + c}u] = sum_${h}${component(c)};`))}
    if (column == 0u) {
      ${lines(quads, (q) => `totals[value_group * ${quads}u + ${q}u] = total_${q};`)}
    }
  }
  workgroupBarrier();

  let row = workgroup.y * ${queryHeads}u + workgroup.x * ${heads}u;
  for (var i = local; i < ${heads * valueWidth}u; i += ${cooperativeThreads}u) {
    let at = (row + i / ${valueWidth}u) * ${partialWidth(valueWidth)}u + i % ${valueWidth}u;
    var sum = 0.0;
    for (var g = 0u; g < ${valueGroups}u; g++) { sum += sums[g * ${heads * valueWidth}u + i]; }
    partials[at] = sum;
  }
  if (local < ${heads}u) {
    let at = (row + local) * ${partialWidth(valueWidth)}u + ${valueWidth}u;
    let q = local / 4u;
    partials[at] = largest[q][local % 4u];
    var total = vec4<f32>();
    for (var g = 0u; g < ${valueGroups}u; g++) { total += totals[g * ${quads}u + q]; }
    partials[at + 1u] = total[local % 4u];
    partials[at + 2u] = 0.0;
    partials[at + 3u] = 0.0;
  }`;
  return { declarations, body };
}

function newValue(binding: string, vector: VectorWidth, valueVector: VectorWidth): string {
  const ratio = vector / valueVector;
  if (ratio === 1) return `return ${binding}[base + column];`;
  if (valueVector === 1) return `return ${binding}[base + column / ${ratio}u][column % ${ratio}u];`;
  return `let both = ${binding}[base + column / 2u];
  return select(both.xy, both.zw, column % 2u == 1u);`;
}
