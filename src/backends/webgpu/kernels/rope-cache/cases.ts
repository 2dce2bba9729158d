import { symbol } from "../../../../tensor/dim.ts";
import type { BoundRows, Rotary } from "../../attention.ts";
import {
  filledCache,
  gather,
  normalise,
  packedRows,
  rotaryTables,
  rotate,
  scatter,
  store,
} from "../../attention-cases.ts";
import { randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { type RopeCacheParams, ropeCache } from "./kernel.ts";

type Floats = Float32Array<ArrayBuffer>;

interface Options {
  readonly tokens: number;
  readonly position: number;
  readonly heads: readonly [queries: number, keys: number];
  readonly width: number;
  readonly valueWidth?: number;
  readonly rotated?: number;
  readonly interleaved?: boolean;
  /** Rotation tables have a row a token. */
  readonly perToken?: boolean;
  readonly rope?: boolean;
  readonly norm?: boolean;
  readonly separate?: boolean;
  readonly parts?: string;
}

const capacity = 600;

function caseOf(options: Options): KernelCase<RopeCacheParams> {
  const { tokens, position, width, valueWidth = width, rotated = width, interleaved = false } = options;
  const { perToken = false, norm = false, separate = false, parts = "qkv" } = options;
  const [queryHeads, keyHeads] = options.heads;
  const widths = [queryHeads * width, keyHeads * width, keyHeads * valueWidth] as const;
  const columns = widths[0] + widths[1] + widths[2];
  const rowsOf = (i: 0 | 1 | 2): BoundRows => {
    const [heads, each] = [i === 0 ? queryHeads : keyHeads, i === 2 ? valueWidth : width];
    if (separate) return { binding: (["q", "k", "v"] as const)[i], ...packedRows(heads, each) };
    const from = widths.slice(0, i).reduce((sum, size) => sum + size, 0);
    return { binding: "qkv", ...packedRows(heads, each, from, columns) };
  };
  const start = symbol("P", 4096);
  const rope: Rotary | undefined =
    options.rope === false ? undefined : { width: rotated, interleaved, first: perToken ? 0 : start };
  const params: RopeCacheParams = {
    tokens: symbol("S"),
    start,
    capacity,
    queryHeads,
    keyHeads,
    width,
    valueWidth,
    query: parts.includes("q") ? { from: rowsOf(0), to: packedRows(queryHeads, width) } : undefined,
    key: parts.includes("k") ? rowsOf(1) : undefined,
    value: parts.includes("v") ? rowsOf(2) : undefined,
    rope,
    norm: norm ? { eps: 1e-6 } : undefined,
  };
  const { name: _, ...shown } = { name: "", ...options };
  return {
    name: Object.entries(shown)
      .map(([key, value]) => `${key} ${value}`)
      .join(", "),
    params,
    symbols: { S: tokens, P: position },
    inputs: () => ({
      ...(separate
        ? {
            q: randomFloats(1, tokens * widths[0], 3),
            k: randomFloats(2, tokens * widths[1], 3),
            v: randomFloats(3, tokens * widths[2], 3),
          }
        : { qkv: randomFloats(1, tokens * columns, 3) }),
      ...rotaryTables((perToken ? 0 : position) + tokens, rotated),
      q_norm: randomFloats(4, width),
      k_norm: randomFloats(5, width),
      key_cache: filledCache(6, keyHeads, capacity, width, capacity),
      value_cache: filledCache(7, keyHeads, capacity, valueWidth, capacity),
      out: rubbish(tokens * widths[0]),
    }),
    expected: (inputs) => {
      const given = inputs as Record<string, Floats>;
      const tables = { cos: given.cos!, sin: given.sin! };
      const rowsFor = (from: BoundRows, heads: number, scale: Floats): Floats => {
        const rows = gather(given[from.binding]!, from, heads, tokens, width);
        const normalised = norm ? normalise(rows, scale, 1e-6) : rows;
        if (!rope) return normalised;
        return rotate(normalised, [heads, tokens, width], tables, rope, perToken ? 0 : position);
      };
      const { query, key, value } = params;
      const tolerance = 2e-6;
      const out = rubbish(tokens * widths[0]);
      if (query)
        scatter(rowsFor(query.from, queryHeads, given.q_norm!), out, query.to, queryHeads, tokens, width);
      const [keys, values] = [given.key_cache!.slice(), given.value_cache!.slice()];
      if (key) store(keys, rowsFor(key, keyHeads, given.k_norm!), keyHeads, capacity, width, position);
      if (value) {
        const rows = gather(given[value.binding]!, value, keyHeads, tokens, valueWidth);
        store(values, rows, keyHeads, capacity, valueWidth, position);
      }
      return {
        ...(query && { out: { elements: out, tolerance } }),
        ...(key && { key_cache: { elements: keys, tolerance } }),
        ...(value && { value_cache: { elements: values } }),
      };
    },
  };
}

const benchTokens = 512;
const fused = (heads: number, from: number): BoundRows => ({
  binding: "qkv",
  ...packedRows(heads, 128, from, 3840),
});
const bench: KernelBench<RopeCacheParams> = {
  name: "512 tokens, 20 and 5 heads of 128",
  params: {
    tokens: symbol("S"),
    start: symbol("P", 4095),
    capacity: 4096,
    queryHeads: 20,
    keyHeads: 5,
    width: 128,
    valueWidth: 128,
    query: { from: fused(20, 0), to: packedRows(20, 128) },
    key: fused(5, 2560),
    value: fused(5, 3200),
    rope: { width: 128, interleaved: false, first: symbol("P", 4095) },
    norm: undefined,
  },
  symbols: { S: benchTokens, P: 0 },
  sizes: {
    qkv: benchTokens * 3840 * 4,
    cos: 4096 * 256,
    sin: 4096 * 256,
    key_cache: 5 * 4096 * 512,
    value_cache: 5 * 4096 * 512,
    out: benchTokens * 2560 * 4,
  },
  bytes: benchTokens * (2 * 3840 * 4 + 512),
  operations: benchTokens * 2 * 25 * 128,
};

export const ropeCacheCases = defineCases({
  kernel: ropeCache,
  cases: [
    caseOf({ tokens: 1, position: 0, heads: [4, 2], width: 64 }),
    caseOf({ tokens: 9, position: 31, heads: [20, 5], width: 128 }),
    caseOf({ tokens: 33, position: 500, heads: [4, 4], width: 80, rotated: 32 }),
    caseOf({ tokens: 70, position: 64, heads: [8, 1], width: 96, interleaved: true }),
    caseOf({ tokens: 3, position: 32, heads: [4, 2], width: 20, valueWidth: 12, rotated: 10 }),
    caseOf({ tokens: 5, position: 100, heads: [4, 2], width: 64, perToken: true }),
    caseOf({ tokens: 4, position: 1, heads: [4, 2], width: 64, separate: true }),
    caseOf({ tokens: 4, position: 63, heads: [4, 2], width: 128, norm: true }),
    caseOf({ tokens: 4, position: 63, heads: [4, 2], width: 64, rope: false, parts: "kv" }),
    caseOf({ tokens: 4, position: 33, heads: [4, 2], width: 64, parts: "k", norm: true, rotated: 32 }),
    caseOf({ tokens: 4, position: 33, heads: [4, 2], width: 64, parts: "v", separate: true }),
  ],
  benches: [bench],
});
