import { addDims, symbol } from "../../../../tensor/dim.ts";
import { cacheRows } from "../../attention.ts";
import { attend, filledCache, gather, packedRows, scatter } from "../../attention-cases.ts";
import { f32, randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { attentionPrefill } from "./kernel.ts";
import type { AttentionMask, AttentionPrefillParams } from "./params.ts";

type Floats = Float32Array<ArrayBuffer>;

interface Options {
  readonly tokens: number;
  readonly position: number;
  readonly heads: readonly [queries: number, keys: number];
  readonly width: number;
  readonly valueWidth?: number;
  readonly window?: number;
  readonly softcap?: number;
  /** Keys and values are rows of this many tokens beside the queries, not caches. */
  readonly keys?: number;
  readonly causal?: boolean;
  /** [heads or 1, S or 1, T]. */
  readonly mask?: "bool" | "float";
  readonly maskHeads?: boolean;
  readonly maskQueries?: boolean;
}

const capacity = 600;

function caseOf(options: Options): KernelCase<AttentionPrefillParams> {
  const { tokens, position, width, valueWidth = width, window = 0, softcap = 0 } = options;
  const { keys, causal = true, mask, maskHeads = false, maskQueries = true } = options;
  const [queryHeads, keyHeads] = options.heads;
  const isWideCase = width === 128 && position === 100;
  const isCached = keys === undefined;
  const keyCount = keys ?? position + tokens;
  const [maskRows, maskLayers] = [maskQueries ? tokens : 1, maskHeads ? queryHeads : 1];
  const maskStrides: AttentionMask | undefined = mask && {
    kind: mask,
    access: "value",
    headStride: maskHeads ? maskRows * keyCount : 0,
    queryStride: maskQueries ? keyCount : 0,
    keyStride: 1,
  };
  const S = symbol("S", 512);
  const P = symbol("P", 4096);
  const params: AttentionPrefillParams = {
    queryHeads,
    keyHeads,
    width,
    valueWidth,
    scale: 1 / Math.sqrt(width),
    softcap,
    window,
    tokens: S,
    keys: keys ?? addDims(S, P),
    first: P,
    causal,
    query: { binding: "q", ...packedRows(queryHeads, width) },
    key: isCached
      ? cacheRows("key_cache", capacity, width)
      : { binding: "k", ...packedRows(keyHeads, width) },
    value: isCached
      ? cacheRows("value_cache", capacity, valueWidth)
      : { binding: "v", ...packedRows(keyHeads, valueWidth) },
    out: packedRows(queryHeads, valueWidth),
    mask: maskStrides,
  };
  const maskValues = () => {
    const count = maskLayers * maskRows * keyCount;
    const chosen = randomFloats(9, count);
    // Some rows hide every key.
    const hides = (i: number): boolean => chosen[i]! < -0.3 || Math.floor(i / keyCount) % 5 === 3;
    return mask === "bool"
      ? Uint32Array.from({ length: count }, (_, i) => (hides(i) ? 0 : 1))
      : Float32Array.from({ length: count }, (_, i) => (hides(i) ? Number.NEGATIVE_INFINITY : chosen[i]!));
  };
  return {
    name: Object.entries(options)
      .map(([key, value]) => `${key} ${value}`)
      .join(", "),
    params,
    // A driver for CPUs takes seconds to compile one of these; without packed products they are the same.
    on: ({ reduction, packedDot }) =>
      reduction === "serial" || (packedDot && (width <= 64 || (reduction === "subgroup" && isWideCase))),
    symbols: { S: tokens, P: position },
    inputs: () => ({
      q: randomFloats(1, tokens * queryHeads * width, 3),
      ...(isCached
        ? {
            key_cache: filledCache(6, keyHeads, capacity, width, keyCount),
            value_cache: filledCache(7, keyHeads, capacity, valueWidth, keyCount),
          }
        : {
            k: randomFloats(6, keyCount * keyHeads * width),
            v: randomFloats(7, keyCount * keyHeads * valueWidth),
          }),
      ...(mask && { mask: maskValues() }),
      out: rubbish(tokens * queryHeads * valueWidth),
    }),
    expected: (inputs) => {
      const given = inputs as Record<string, Floats>;
      const { query, key, value, out } = params;
      const result = attend(
        {
          q: gather(given.q!, query, queryHeads, tokens, width),
          k: gather(given[key.binding]!, key, keyHeads, keyCount, width),
          v: gather(given[value.binding]!, value, keyHeads, keyCount, valueWidth),
          mask: mask && maskTensor(inputs.mask as Floats, [1, maskLayers, maskRows, keyCount], mask),
        },
        params,
        params,
        causal,
      );
      const elements = new Float32Array(tokens * queryHeads * valueWidth);
      scatter(result, elements, out, queryHeads, tokens, valueWidth);
      return { out: { elements, tolerance: softcap > 0 ? 1e-5 : 3e-6 } };
    },
  };
}

const maskTensor = (values: Floats, shape: number[], kind: "bool" | "float") =>
  kind === "float"
    ? f32(values, ...shape)
    : ({ dtype: "bool", shape, data: Uint8Array.from(values) } as const);

const bench: KernelBench<AttentionPrefillParams> = {
  name: "512 tokens, 20 and 5 heads of 128",
  params: {
    queryHeads: 20,
    keyHeads: 5,
    width: 128,
    valueWidth: 128,
    scale: 128 ** -0.5,
    softcap: 0,
    window: 0,
    tokens: symbol("S", 512),
    keys: symbol("S", 512),
    first: 0,
    causal: true,
    query: { binding: "q", ...packedRows(20, 128) },
    key: cacheRows("key_cache", 4096, 128),
    value: cacheRows("value_cache", 4096, 128),
    out: packedRows(20, 128),
    mask: undefined,
  },
  symbols: { S: 512, P: 0 },
  sizes: {
    q: 512 * 2560 * 4,
    key_cache: 5 * 4096 * 512,
    value_cache: 5 * 4096 * 512,
    out: 512 * 2560 * 4,
  },
  bytes: 2 * 512 * 2560 * 4 + 2 * 512 * 640 * 4,
  operations: 20 * 512 * 256 * 256,
};

export const attentionPrefillCases = defineCases({
  kernel: attentionPrefill,
  cases: [
    caseOf({ tokens: 1, position: 0, heads: [4, 2], width: 64 }),
    caseOf({ tokens: 9, position: 0, heads: [4, 4], width: 32 }),
    caseOf({ tokens: 33, position: 31, heads: [8, 1], width: 32 }),
    caseOf({ tokens: 70, position: 100, heads: [20, 5], width: 128 }),
    caseOf({ tokens: 2, position: 500, heads: [4, 2], width: 80 }),
    caseOf({ tokens: 33, position: 64, heads: [4, 2], width: 32, window: 20 }),
    caseOf({ tokens: 7, position: 63, heads: [6, 2], width: 32, softcap: 30 }),
    caseOf({ tokens: 5, position: 32, heads: [4, 2], width: 96, valueWidth: 64 }),
    caseOf({ tokens: 3, position: 10, heads: [2, 1], width: 21, valueWidth: 6 }),
    caseOf({ tokens: 3, position: 10, heads: [2, 1], width: 256, valueWidth: 128 }),
    caseOf({ tokens: 9, position: 24, heads: [4, 2], width: 32, keys: 33 }),
    caseOf({ tokens: 9, position: 0, heads: [4, 2], width: 32, keys: 33, causal: false }),
    caseOf({ tokens: 9, position: 24, heads: [4, 2], width: 32, keys: 33, mask: "bool" }),
    caseOf({
      tokens: 9,
      position: 24,
      heads: [4, 2],
      width: 32,
      keys: 33,
      causal: false,
      mask: "float",
      maskHeads: true,
    }),
    caseOf({
      tokens: 9,
      position: 24,
      heads: [4, 2],
      width: 32,
      keys: 33,
      causal: false,
      mask: "bool",
      maskQueries: false,
    }),
  ],
  benches: [bench],
});
