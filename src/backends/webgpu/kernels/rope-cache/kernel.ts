import type { Dim } from "../../../../tensor/dim.ts";
import {
  type BoundRows,
  bindingsOf,
  cacheRows,
  type HeadNorm,
  type Heads,
  type Rotary,
  type Rows,
  refusalOfRotary,
  rotarySizes,
  rowReader,
  rowStart,
  stridesOf,
  tableType,
  vectorType,
  vectorWidth,
} from "../../attention.ts";
import { defineKernel } from "../../kernel.ts";
import type { Target } from "../../target.ts";
import { defaultLimits } from "../../target.ts";
import { shader, wgslSize } from "../../wgsl.ts";

/** Each of query, key and value may be absent; then its heads are left alone and it has no bindings. */
export interface RopeCacheParams extends Heads {
  readonly tokens: Dim;
  /** The position of token 0. */
  readonly start: Dim;
  /** Rows of the caches. */
  readonly capacity: number;
  /** Rotated and written to `out`, another buffer. */
  readonly query: { readonly from: BoundRows; readonly to: Rows } | undefined;
  /** Rotated and written to `key_cache`. */
  readonly key: BoundRows | undefined;
  /** Written to `value_cache` as they are. */
  readonly value: BoundRows | undefined;
  /** Of q and of k. */
  readonly rope: Rotary | undefined;
  readonly norm: HeadNorm | undefined;
}

const workgroupSize = 128;

export const ropeCache = defineKernel<RopeCacheParams>({
  name: "rope-cache",
  doc: [
    "Puts the tokens of a call into the caches: q, k ← rotated (nn.rope), normalised by head before that where there is a norm; q goes to out, k and v to rows start … start + tokens - 1 of their caches.",
    "Bindings: the rows' own (qkv, or q, k, v), value f32; cos, sin constant f32 [T, R/2]; q_norm, k_norm constant f32 [D]; key_cache f32 [1, Hk, C, D], value_cache f32 [1, Hk, C, Dv], out f32 rows of heads.",
  ].join(" "),
  class: "attention",
  supports: (params, target) => {
    if (params.query === undefined && params.key === undefined && params.value === undefined)
      return "There is nothing to rotate and nothing to write.";
    const refusal = refusalOfRotary(params.rope, params.width);
    if (refusal !== undefined) return refusal;
    const { maxStorageBuffersPerShaderStage: most } = defaultLimits;
    const count = ropeCacheShader(params, target).bindings.filter(
      ({ access }) => access !== "symbols",
    ).length;
    return count > most
      ? `It needs ${count} buffers, and a shader has ${most}: give it q, k and v in one.`
      : undefined;
  },
  build: (params, target) => ropeCacheShader(params, target),
});

function ropeCacheShader(params: RopeCacheParams, target: Target) {
  const { tokens, start, capacity, queryHeads, keyHeads, width, valueWidth, query, key, value } = params;
  const rotates = query !== undefined || key !== undefined;
  const rope = rotates ? params.rope : undefined;
  const norm = rotates ? params.norm : undefined;
  const sources = [query?.from, key, value];
  const vector = vectorWidth(
    ...(rotates ? [width] : []),
    ...(value ? [valueWidth] : []),
    ...rotarySizes(rope),
    ...[...sources, query?.to].flatMap((rows) => (rows ? stridesOf(rows) : [])),
  );
  const type = vectorType(vector);
  const array = { type: `array<${type}>`, access: "value" } as const;
  const normScale = { type: `array<${type}>`, access: "constant" } as const;
  const table = rope && ({ type: `array<${tableType(rope, vector)}>`, access: "constant" } as const);
  const position = `(${wgslSize(start)} + token)`;
  const reader = { vector, width, rope, norm };
  const [units, valueUnits] = [width / vector, value ? valueWidth / vector : 0];
  const rotatedBy = (name: string, from: Rows, to: string, head: string): string => `
    let base = ${rowStart(from, vector, "token", head)};
    ${to} = ${name}(base, unit, token, ${name}_inverse(base));`;
  const parts = [
    query && {
      heads: queryHeads,
      units,
      write: (head: string) =>
        rotatedBy("query_row", query.from, `out[${rowStart(query.to, vector, "token", head)} + unit]`, head),
    },
    key && {
      heads: keyHeads,
      units,
      write: (head: string) => {
        const row = rowStart(cacheRows("key_cache", capacity, width), vector, position, head);
        return rotatedBy("key_row", key, `key_cache[${row} + unit]`, head);
      },
    },
    value && {
      heads: keyHeads,
      units: valueUnits,
      write: (head: string) => {
        const row = rowStart(cacheRows("value_cache", capacity, valueWidth), vector, position, head);
        return `
    value_cache[${row} + unit] = ${value.binding}[${rowStart(value, vector, "token", head)} + unit];`;
      },
    },
  ].filter((part) => part !== undefined);
  const perToken = parts.reduce((sum, part) => sum + part.heads * part.units, 0);
  let first = 0;
  const branches = parts.map((part) => {
    const text = `let unit = (item - ${first}u) % ${part.units}u;
    let head = (item - ${first}u) / ${part.units}u;${part.write("head")}`;
    first += part.heads * part.units;
    return `if (item < ${first}u) {
    ${text}
  }`;
  });
  return shader(target, {
    bindings: {
      ...bindingsOf(sources, type, "value"),
      ...(table && { cos: table, sin: table }),
      ...(norm && query && { q_norm: normScale }),
      ...(norm && key && { k_norm: normScale }),
      ...(key && { key_cache: array }),
      ...(value && { value_cache: array }),
      ...(query && { out: array }),
    },
    workgroupSize,
    workgroups: [Math.ceil(perToken / workgroupSize), tokens, 1],
    declarations: [
      query && rowReader({ name: "query_row", binding: query.from.binding, normScale: "q_norm", ...reader }),
      key && rowReader({ name: "key_row", binding: key.binding, normScale: "k_norm", ...reader }),
    ]
      .filter((text) => text !== undefined)
      .join("\n"),
    body: `
  let item = workgroup.x * ${workgroupSize}u + local;
  let token = workgroup.y;
  ${branches.join(" else ")}`,
  });
}
