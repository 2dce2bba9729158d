import { dotProduct, lines, lowest, rowStart, type VectorWidth, vectorType } from "../../attention.ts";
import { teamSize } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { wgslFloat, wgslSize } from "../../wgsl.ts";
import { type AttentionPrefillParams, isSeen, keyRange, scoreOf, sharing } from "./params.ts";

/** Invocations that share a query, each with vectors of it that lie as far apart as there are members. */
const queryTeam = 8;
/** Bytes of workgroup memory for keys and values. */
const tileBytes = 8192;

export const tiledThreads = 128;

export interface Tiling {
  readonly team: number;
  /** Queries of an invocation. */
  readonly rows: number;
  /** Queries of a workgroup: neighbouring heads of a token, then of the next. */
  readonly queries: number;
  /** Keys of a tile, a multiple of those that a team scores at once, which are as many as it has members. */
  readonly keys: number;
}

export function tilingOf(params: AttentionPrefillParams, target: Target): Tiling {
  const widest = Math.max(params.width, params.valueWidth);
  const hasSubgroups = target.reduction === "subgroup";
  // Wide heads leave room for few keys beside the parts that are summed through workgroup memory.
  const team = teamSize(target, !hasSubgroups && widest > 128 ? queryTeam / 2 : queryTeam);
  const rows = hasSubgroups && widest <= 128 ? 2 : 1;
  const bytes = hasSubgroups ? tileBytes : tileBytes / 2;
  const most = Math.floor(bytes / (4 * widest * team)) * team;
  return {
    team,
    rows,
    queries: (tiledThreads / team) * rows,
    keys: Math.max(team, Math.min(hasSubgroups ? 2 * team : team, most)),
  };
}

/**
 * Tiles of keys and values in workgroup memory, which all queries of the workgroup read. A team of invocations has a
 * few queries: each member keeps some vectors of them and of their outputs in registers. It multiplies its vectors with
 * those of as many keys as there are members; then the parts are summed so that each member has the score of one key.
 */
export function tiledParts(
  params: AttentionPrefillParams,
  vector: VectorWidth,
  target: Target,
): { declarations: string; body: string } {
  const { width, valueWidth, scale, tokens } = params;
  const { team, rows, queries, keys } = tilingOf(params, target);
  const type = vectorType(vector);
  const [units, valueUnits] = [width / vector, valueWidth / vector];
  const [loads, valueLoads] = [Math.ceil(units / team), Math.ceil(valueUnits / team)];
  const hasSubgroups = target.reduction === "subgroup";
  const heads = sharing(params);
  const total = `(${wgslSize(tokens)} * ${heads}u)`;
  const batches = keys / team;
  /** A unit of a row, with those that the row lacks held within it. */
  const unitOf = (i: number, count: number): string =>
    (i + 1) * team > count ? `min(member + ${i * team}u, ${count - 1}u)` : `member + ${i * team}u`;
  const exists = (i: number, count: number, text: string, otherwise = ""): string =>
    (i + 1) * team > count ? `if (member + ${i * team}u < ${count}u) { ${text} }${otherwise}` : text;
  const eachRow = (line: (r: number) => string): string => lines(rows, line);
  const fill = (name: string, source: string, count: number, rowsOf: AttentionPrefillParams["key"]) => `
    for (var i = local; i < ${keys * count}u; i += ${tiledThreads}u) {
      let at = tile + i / ${count}u;
      var loaded = ${type}();
      if (at < to) { loaded = ${source}[${rowStart(rowsOf, vector, "at", "key_head")} + i % ${count}u]; }
      ${name}[i] = loaded;
    }`;

  const declarations = `
var<workgroup> tile_keys: array<${type}, ${keys * units}>;
var<workgroup> tile_values: array<${type}, ${keys * valueUnits}>;
${hasSubgroups ? "" : `var<workgroup> parts: array<f32, ${tiledThreads * team}>;\nvar<workgroup> shared_scores: array<f32, ${tiledThreads}>;`}`;

  /** Products of the queries with the keys of batch `b`: `product_r_b` is this member's key. */
  const products = (b: number): string => {
    const parts = lines(
      team,
      (j) => `{
        let row = ${(b * team + j) * units}u;
        ${lines(loads, (i) => {
          const key = `key_${i}`;
          return `let ${key} = tile_keys[row + ${unitOf(i, units)}];`;
        })}
        ${eachRow((r) => `part_${r}_${j} = ${lines(loads, (i) => dotProduct(vector, `query_${r}_${i}`, `key_${i}`), " + ")};`)}
      }`,
    );
    const declared = eachRow((r) => `var ${lines(team, (j) => `part_${r}_${j} = 0.0;`, " var ")}`);
    return `${declared}\n  ${parts}\n  ${eachRow((r) => (hasSubgroups ? transposed(r, b) : shared(r, b)))}`;
  };
  /** Each step halves the keys that a member has parts of: it keeps one half and gets the other member's parts of it. */
  const transposed = (r: number, b: number): string => {
    const steps: string[] = [];
    for (let half = team / 2; half >= 1; half /= 2) {
      steps.push(`{
        let is_upper = (member & ${half}u) != 0u;
        ${lines(
          half,
          (
            j,
          ) => `let given_${j} = subgroupShuffleXor(select(part_${r}_${j + half}, part_${r}_${j}, is_upper), ${half}u);
        part_${r}_${j} = select(part_${r}_${j}, part_${r}_${j + half}, is_upper) + given_${j};`,
        )}
      }`);
    }
    return `${steps.join("\n")}\n  product_${r}_${b} = part_${r}_0;`;
  };
  const shared = (r: number, b: number): string => `
    ${lines(team, (j) => `parts[${j * tiledThreads}u + local] = part_${r}_${j};`)}
    workgroupBarrier();
    product_${r}_${b} = ${lines(team, (i) => `parts[member * ${tiledThreads}u + local - member + ${i}u]`, " + ")};
    workgroupBarrier();`;
  /** The largest, or the value of member `j`, of a team. */
  const most = (r: number): string =>
    hasSubgroups
      ? lines(
          Math.log2(team),
          (i) => `next_${r} = max(next_${r}, subgroupShuffleXor(next_${r}, ${1 << i}u));`,
        )
      : `shared_scores[local] = next_${r};
    workgroupBarrier();
    ${lines(team, (i) => `next_${r} = max(next_${r}, shared_scores[local - member + ${i}u]);`)}
    workgroupBarrier();`;
  const spread = (r: number, b: number): string =>
    hasSubgroups
      ? ""
      : `shared_scores[local] = weight_${r}_${b};
    workgroupBarrier();`;
  const weightOf = (r: number, b: number, j: number): string =>
    hasSubgroups
      ? `subgroupShuffle(weight_${r}_${b}, lane - member + ${j}u)`
      : `shared_scores[local - member + ${j}u]`;

  const body = `
  let key_head = workgroup.y;
  let member = local % ${team}u;
  let first_row = ((${total} - 1u) / ${queries}u - workgroup.x) * ${queries}u;
  let first_token = first_row / ${heads}u;
  let last_token = min(first_row + ${queries - 1}u, ${total} - 1u) / ${heads}u;
  ${keyRange(params)}
  ${eachRow(
    (r) => `let row_${r} = min(first_row + local / ${team}u * ${rows}u + ${r}u, ${total} - 1u);
  let token_${r} = row_${r} / ${heads}u;
  let head_${r} = key_head * ${heads}u + row_${r} % ${heads}u;
  let query_base_${r} = ${rowStart(params.query, vector, `token_${r}`, `head_${r}`)};
  ${lines(
    loads,
    (i) => `var query_${r}_${i} = ${type}();
  ${exists(i, units, `query_${r}_${i} = ${params.query.binding}[query_base_${r} + member + ${i * team}u] * ${wgslFloat(scale)};`)}`,
  )}
  var largest_${r} = ${lowest};
  var total_${r} = 0.0;
  ${lines(valueLoads, (i) => `var sum_${r}_${i} = ${type}();`)}`,
  )}
  for (var tile = earliest / ${keys}u * ${keys}u; tile < to; tile += ${keys}u) {
    workgroupBarrier();
    ${fill("tile_keys", params.key.binding, units, params.key)}
    ${fill("tile_values", params.value.binding, valueUnits, params.value)}
    workgroupBarrier();
    ${lines(batches, (b) => eachRow((r) => `var product_${r}_${b} = 0.0;`))}
    ${lines(batches, (b) => `{\n  ${products(b)}\n  }`)}
    ${eachRow(
      (r) => `let position_${r} = ${wgslSize(params.first)} + token_${r};
    var next_${r} = largest_${r};
    ${lines(
      batches,
      (b) => `var is_seen_${r}_${b} = false;
    var score_${r}_${b} = ${lowest};
    {
      let key = tile + ${b * team}u + member;
      let head = head_${r};
      let token = token_${r};
      if (${isSeen(params, "key", `position_${r}`)}) {
        is_seen_${r}_${b} = ${params.mask === undefined ? "true" : "is_shown(head, token, key)"};
        if (is_seen_${r}_${b}) { score_${r}_${b} = ${scoreOf(params, `product_${r}_${b}`, "key")}; }
      }
      next_${r} = max(next_${r}, score_${r}_${b});
    }`,
    )}
    ${most(r)}
    let rescale_${r} = exp(largest_${r} - next_${r});
    largest_${r} = next_${r};
    total_${r} *= rescale_${r};
    ${lines(batches, (b) => `let weight_${r}_${b} = select(0.0, exp(score_${r}_${b} - next_${r}), is_seen_${r}_${b}); total_${r} += weight_${r}_${b};`)}
    ${lines(valueLoads, (i) => `sum_${r}_${i} *= rescale_${r};`)}`,
    )}
    ${lines(
      batches,
      (b) => `${eachRow((r) => spread(r, b))}
    ${lines(
      team,
      (j) => `{
      let row = ${(b * team + j) * valueUnits}u;
      ${eachRow((r) => `let weight_${r} = ${weightOf(r, b, j)};`)}
      ${lines(
        valueLoads,
        (i) => `let value_${i} = tile_values[row + ${unitOf(i, valueUnits)}];
      ${eachRow((r) => `sum_${r}_${i} += weight_${r} * value_${i};`)}`,
      )}
    }`,
    )}`,
    )}
  }
  ${eachRow(
    (r) => `{
    var next_${r} = total_${r};
    ${sumOfTeam(r)}
    let inverse = select(0.0, 1.0 / next_${r}, next_${r} > 0.0);
    if (first_row + local / ${team}u * ${rows}u + ${r}u < ${total}) {
      let base = ${rowStart(params.out, vector, `token_${r}`, `head_${r}`)};
      ${lines(valueLoads, (i) => exists(i, valueUnits, `out[base + member + ${i * team}u] = sum_${r}_${i} * inverse;`))}
    }
  }`,
  )}`;
  return { declarations, body };

  function sumOfTeam(r: number): string {
    if (hasSubgroups)
      return lines(Math.log2(team), (i) => `next_${r} += subgroupShuffleXor(next_${r}, ${1 << i}u);`);
    return `workgroupBarrier();
    shared_scores[local] = total_${r};
    workgroupBarrier();
    next_${r} = ${lines(team, (i) => `shared_scores[local - member + ${i}u]`, " + ")};`;
  }
}
