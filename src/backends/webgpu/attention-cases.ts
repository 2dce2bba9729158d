import { attention } from "../../runtime/cpu/kernels/attention.ts";
import { rope } from "../../runtime/cpu/kernels/rope.ts";
import type { Rotary, Rows, Scoring } from "./attention.ts";
import { f32, randomFloats } from "./case-data.ts";

type Floats = Float32Array<ArrayBuffer>;

/** Rows of heads out of a buffer, as a tensor [1, heads, tokens, width] has them. */
export function gather(buffer: Floats, rows: Rows, heads: number, tokens: number, width: number): Floats {
  const out = new Float32Array(heads * tokens * width);
  eachRow(rows, heads, tokens, (at, head, token) =>
    out.set(buffer.subarray(at, at + width), (head * tokens + token) * width),
  );
  return out;
}

/** The reverse of `gather`. */
export function scatter(
  tensor: Floats,
  buffer: Floats,
  rows: Rows,
  heads: number,
  tokens: number,
  width: number,
): void {
  eachRow(rows, heads, tokens, (at, head, token) => {
    const from = (head * tokens + token) * width;
    buffer.set(tensor.subarray(from, from + width), at);
  });
}

function eachRow(
  rows: Rows,
  heads: number,
  tokens: number,
  visit: (at: number, head: number, token: number) => void,
) {
  const { offset, tokenStride, headStride } = rows as Record<keyof Rows, number>;
  for (let head = 0; head < heads; head++)
    for (let token = 0; token < tokens; token++)
      visit(offset + token * tokenStride + head * headStride, head, token);
}

/** Rows of heads side by side, token by token. */
export const packedRows = (heads: number, width: number, from = 0, columns = heads * width) => ({
  tokenStride: columns,
  headStride: width,
  offset: from,
});

/** Cosines and sines of `rows` positions. */
export function rotaryTables(rows: number, width: number): { cos: Floats; sin: Floats } {
  const half = width / 2;
  const angle = (i: number): number => Math.floor(i / half) * 10000 ** (-(i % half) / half);
  return {
    cos: Float32Array.from({ length: rows * half }, (_, i) => Math.cos(angle(i))),
    sin: Float32Array.from({ length: rows * half }, (_, i) => Math.sin(angle(i))),
  };
}

/** [1, heads, tokens, width] rotated as `nn.rope` does, token s by row `first` + s of the tables. */
export function rotate(
  x: Floats,
  shape: readonly [heads: number, tokens: number, width: number],
  tables: { readonly cos: Floats; readonly sin: Floats },
  { width, interleaved }: Pick<Rotary, "width" | "interleaved">,
  first: number,
): Floats {
  const half = width / 2;
  const table = (data: Floats) => f32(data, data.length / half, half);
  const start_pos = { dtype: "i32", shape: [1], data: Int32Array.of(first) } as const;
  const args = { x: f32(x, 1, ...shape), cos: table(tables.cos), sin: table(tables.sin), start_pos };
  return rope(args, { interleaved })[0]!.data as Floats;
}

/** Each of `count` rows over its root mean square, times `scale`. */
export function normalise(x: Floats, scale: Floats, eps: number): Floats {
  const width = scale.length;
  return Float32Array.from(x, (value, i) => {
    const first = i - (i % width);
    let squares = 0;
    for (let j = first; j < first + width; j++) squares += x[j]! * x[j]!;
    return (value / Math.sqrt(squares / width + eps)) * scale[i % width]!;
  });
}

/** A cache [1, heads, capacity, width] of which the first `filled` rows are filled and the others are NaN. */
export function filledCache(
  seed: number,
  heads: number,
  capacity: number,
  width: number,
  filled: number,
): Floats {
  const cache = randomFloats(seed, heads * capacity * width);
  for (let head = 0; head < heads; head++)
    cache.fill(Number.NaN, (head * capacity + filled) * width, (head + 1) * capacity * width);
  return cache;
}

/** Writes rows [1, heads, tokens, width] to a cache from row `start` on. */
export const store = (
  cache: Floats,
  rows: Floats,
  heads: number,
  capacity: number,
  width: number,
  start: number,
): void =>
  scatter(
    rows,
    cache,
    { tokenStride: width, headStride: capacity * width, offset: start * width },
    heads,
    rows.length / heads / width,
    width,
  );

/** `nn.sdpa` of [1, heads, rows, width] tensors. */
export function attend(
  given: {
    readonly q: Floats;
    readonly k: Floats;
    readonly v: Floats;
    readonly mask?: Parameters<typeof attention>[0]["mask"];
    /** Where k and v are caches. */
    readonly start?: number;
  },
  sizes: {
    readonly queryHeads: number;
    readonly keyHeads: number;
    readonly width: number;
    readonly valueWidth: number;
  },
  scoring: Scoring,
  causal = true,
): Floats {
  const { q, k, v, mask, start } = given;
  const { queryHeads, keyHeads, width, valueWidth } = sizes;
  const start_pos =
    start === undefined ? undefined : ({ dtype: "i32", shape: [1], data: Int32Array.of(start) } as const);
  const args = {
    q: f32(q, 1, queryHeads, q.length / queryHeads / width, width),
    k: f32(k, 1, keyHeads, k.length / keyHeads / width, width),
    v: f32(v, 1, keyHeads, v.length / keyHeads / valueWidth, valueWidth),
    mask,
    start_pos,
  };
  return attention(args, { ...scoring, causal })[0]!.data as Floats;
}
