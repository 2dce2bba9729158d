import { evaluateDim, symbol } from "../../../../tensor/dim.ts";
import type { BoundRows, Rotary } from "../../attention.ts";
import {
  filledCache,
  gather,
  normalise,
  packedRows,
  rotaryTables,
  rotate,
  store,
} from "../../attention-cases.ts";
import { randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { attentionDecode } from "./kernel.ts";
import { type AttentionDecodeParams, partialsSize, partialWidth, splitsOf } from "./params.ts";

type Floats = Float32Array<ArrayBuffer>;

interface Options {
  readonly position: number;
  readonly heads: readonly [queries: number, keys: number];
  readonly width: number;
  readonly valueWidth?: number;
  readonly rotated?: number;
  readonly interleaved?: boolean;
  readonly window?: number;
  readonly chunk?: number;
  readonly softcap?: number;
  /** Rotation tables have a row a token. */
  readonly perToken?: boolean;
  readonly rope?: boolean;
  readonly norm?: boolean;
  readonly separate?: boolean;
}

const capacity = 600;

function caseOf(options: Options): KernelCase<AttentionDecodeParams> {
  const { position, width, valueWidth = width, rotated = width, interleaved = false } = options;
  const { window = 0, chunk = 16, softcap = 0, perToken = false, norm = false, separate = false } = options;
  const [queryHeads, keyHeads] = options.heads;
  const isWideCase = width === 128 && position === 500;
  const widths = [queryHeads * width, keyHeads * width, keyHeads * valueWidth] as const;
  const columns = widths[0] + widths[1] + widths[2];
  const rowsOf = (i: 0 | 1 | 2): BoundRows => {
    const [heads, each] = [i === 0 ? queryHeads : keyHeads, i === 2 ? valueWidth : width];
    if (separate) return { binding: (["q", "k", "v"] as const)[i], ...packedRows(heads, each) };
    const from = widths.slice(0, i).reduce((sum, size) => sum + size, 0);
    return { binding: "qkv", ...packedRows(heads, each, from, columns) };
  };
  // With no larger P, all of `partials` is written.
  const start = symbol("P", position);
  const rope: Rotary | undefined =
    options.rope === false ? undefined : { width: rotated, interleaved, first: perToken ? 0 : start };
  const params: AttentionDecodeParams = {
    start,
    chunk,
    capacity,
    queryHeads,
    keyHeads,
    width,
    valueWidth,
    query: rowsOf(0),
    key: rowsOf(1),
    value: rowsOf(2),
    scale: 1 / Math.sqrt(width),
    softcap,
    window,
    rope,
    norm: norm ? { eps: 1e-6 } : undefined,
  };
  const splits = evaluateDim(splitsOf(params), new Map([["P", position]]));
  return {
    name: Object.entries(options)
      .map(([key, value]) => `${key} ${value}`)
      .join(", "),
    params,
    // A driver for CPUs takes seconds to compile one of these, and the shaders that are no serial ones differ little.
    on: ({ reduction, packedDot }) =>
      reduction === "serial" ||
      (reduction === "subgroup" && (width <= 64 || isWideCase)) ||
      (packedDot && width <= 64 && (position <= 1 || position === 500)),
    symbols: { S: 1, P: position },
    inputs: () => ({
      ...(separate
        ? {
            q: randomFloats(1, widths[0], 3),
            k: randomFloats(2, widths[1], 3),
            v: randomFloats(3, widths[2], 3),
          }
        : { qkv: randomFloats(1, columns, 3) }),
      ...rotaryTables(perToken ? 1 : position + 1, rotated),
      q_norm: randomFloats(4, width),
      k_norm: randomFloats(5, width),
      key_cache: filledCache(6, keyHeads, capacity, width, position),
      value_cache: filledCache(7, keyHeads, capacity, valueWidth, position),
      partials: rubbish(partialsSize(params)),
    }),
    expected: (inputs) => {
      const given = inputs as Record<string, Floats>;
      const rowsFor = (from: BoundRows, heads: number, scale: Floats): Floats => {
        const rows = gather(given[from.binding]!, from, heads, 1, width);
        const normalised = norm ? normalise(rows, scale, 1e-6) : rows;
        if (!rope) return normalised;
        const tables = { cos: given.cos!, sin: given.sin! };
        return rotate(normalised, [heads, 1, width], tables, rope, perToken ? 0 : position);
      };
      const { query, key, value } = params;
      const [keys, values] = [given.key_cache!.slice(), given.value_cache!.slice()];
      store(keys, rowsFor(key, keyHeads, given.k_norm!), keyHeads, capacity, width, position);
      const newValues = gather(given[value.binding]!, value, keyHeads, 1, valueWidth);
      store(values, newValues, keyHeads, capacity, valueWidth, position);
      const queries = rowsFor(query, queryHeads, given.q_norm!);
      const tolerance = softcap > 0 ? 1e-5 : 4e-6;
      return {
        key_cache: { elements: keys, tolerance: 2e-6 },
        value_cache: { elements: values },
        partials: { elements: partialsOf(params, queries, keys, values, position, splits), tolerance },
      };
    },
  };
}

/** The partial results of one query of each head, from filled caches. */
export function partialsOf(
  params: Pick<
    AttentionDecodeParams,
    "queryHeads" | "keyHeads" | "width" | "valueWidth" | "scale" | "softcap" | "window" | "chunk" | "capacity"
  >,
  queries: Floats,
  keys: Floats,
  values: Floats,
  position: number,
  splits: number,
): Floats {
  const { queryHeads, keyHeads, width, valueWidth, scale, softcap, window, chunk, capacity } = params;
  const row = partialWidth(valueWidth);
  const out = new Float32Array(splits * queryHeads * row);
  const earliest = window > 0 ? Math.max(0, position - window + 1) : 0;
  for (let split = 0; split < splits; split++) {
    const before = Math.floor(earliest / chunk);
    const chunks = Math.floor(position / chunk) - before + 1;
    const edge = (at: number): number => (before + Math.floor((at * chunks) / splits)) * chunk;
    const [from, to] = [Math.max(edge(split), earliest), Math.min(edge(split + 1) - 1, position)];
    for (let head = 0; head < queryHeads; head++) {
      const cacheRow = Math.floor(head / (queryHeads / keyHeads)) * capacity;
      const scores: number[] = [];
      for (let j = from; j <= to; j++) {
        let product = 0;
        for (let i = 0; i < width; i++)
          product += queries[head * width + i]! * keys[(cacheRow + j) * width + i]!;
        const score = product * scale;
        scores.push(softcap > 0 ? softcap * Math.tanh(score / softcap) : score);
      }
      const largest = Math.max(...scores);
      const at = (split * queryHeads + head) * row;
      out[at + valueWidth] = largest;
      scores.forEach((score, j) => {
        const weight = Math.exp(score - largest);
        out[at + valueWidth + 1]! += weight;
        for (let i = 0; i < valueWidth; i++)
          out[at + i]! += weight * values[(cacheRow + from + j) * valueWidth + i]!;
      });
    }
  }
  return out;
}

function benchOf(position: number): KernelBench<AttentionDecodeParams> {
  const start = symbol("P", 4095);
  const part = (from: number): BoundRows => ({
    binding: "qkv",
    tokenStride: 3840,
    headStride: 128,
    offset: from,
  });
  const params: AttentionDecodeParams = {
    start,
    chunk: 16,
    capacity: 4096,
    queryHeads: 20,
    keyHeads: 5,
    width: 128,
    valueWidth: 128,
    query: part(0),
    key: part(2560),
    value: part(3200),
    scale: 128 ** -0.5,
    softcap: 0,
    window: 0,
    rope: { width: 128, interleaved: false, first: start },
    norm: undefined,
  };
  const cache = 5 * 4096 * 128 * 4;
  return {
    name: `20 and 5 heads of 128 at position ${position}`,
    params,
    symbols: { S: 1, P: position },
    sizes: {
      qkv: 3840 * 4,
      cos: 4096 * 256,
      sin: 4096 * 256,
      key_cache: cache,
      value_cache: cache,
      partials: partialsSize(params) * 4,
    },
    bytes: 2 * 5 * position * 512,
    operations: 2 * 20 * (position + 1) * 128,
  };
}

export const attentionDecodeCases = defineCases({
  kernel: attentionDecode,
  cases: [
    caseOf({ position: 0, heads: [4, 2], width: 64 }),
    caseOf({ position: 1, heads: [4, 4], width: 32 }),
    caseOf({ position: 31, heads: [8, 1], width: 32 }),
    caseOf({ position: 31, heads: [8, 1], width: 32, chunk: 32 }),
    caseOf({ position: 32, heads: [20, 5], width: 128 }),
    caseOf({ position: 33, heads: [4, 2], width: 80, rotated: 32 }),
    caseOf({ position: 63, heads: [4, 2], width: 96, interleaved: true }),
    caseOf({ position: 64, heads: [6, 2], width: 32, separate: true }),
    caseOf({ position: 100, heads: [8, 1], width: 128, softcap: 30 }),
    caseOf({ position: 500, heads: [20, 5], width: 128 }),
    caseOf({ position: 500, heads: [4, 2], width: 32, window: 70 }),
    caseOf({ position: 500, heads: [4, 2], width: 32, window: 300, chunk: 4 }),
    caseOf({ position: 520, heads: [4, 2], width: 32, chunk: 2 }),
    caseOf({ position: 20, heads: [4, 2], width: 32, window: 64 }),
    caseOf({ position: 40, heads: [4, 2], width: 32, window: 1 }),
    caseOf({ position: 100, heads: [4, 2], width: 32, perToken: true }),
    caseOf({ position: 100, heads: [4, 2], width: 32, norm: true }),
    caseOf({ position: 40, heads: [4, 2], width: 32, rope: false }),
    caseOf({ position: 40, heads: [14, 2], width: 10, valueWidth: 6, rotated: 6 }),
    caseOf({ position: 40, heads: [10, 2], width: 9, valueWidth: 5, rotated: 6, interleaved: true }),
    caseOf({ position: 40, heads: [2, 1], width: 256, valueWidth: 32 }),
    caseOf({ position: 70, heads: [16, 1], width: 192, valueWidth: 256 }),
  ],
  benches: [benchOf(127), benchOf(4095)],
});
