import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { packTernary } from "../packing/index.ts";
import { isFloat, type TernaryDType } from "../tensor/dtype.ts";
import { allocate, type Tensor, type TensorData, tensor } from "../tensor/tensor.ts";
import {
  computedWeight,
  inlineLimit,
  inlineWeight,
  mapRows,
  numberText,
  placeOf,
  streamRows,
  type WeightRef,
} from "./weights.ts";

/** What a float matrix [N, K] of {-s, 0, s} is made of: w = scale · code, exactly. */
export interface TernaryFacts {
  /** f32 [1]: one scale; [N]: one a row; [N, K / group]: one a group of a row. Never 0. */
  readonly scale: Tensor;
  /** Neighbouring weights of a row that share a scale; 0 when a row has only one. */
  readonly group: number;
  /** Share of the weights that are zero, 0 to 1. */
  readonly zeros: number;
}

/**
 * Finds the scales of a matrix whose values are {-s, 0, s}, or the reason why they are not: one s for all, one
 * for each row, or one for each group along K. Groups of 16 to 256 are what quantisers write; halves, thirds
 * and so on of K are the shards of models trained in parts, each with a scale of its own.
 * Reads the weight once, a chunk at a time, and gives up at the first row that does not fit.
 *
 * @param ref float [N, K], a row per output
 * @returns the scales, or `miss`, a sentence
 */
export async function analyseTernary(ref: WeightRef): Promise<TernaryFacts | { readonly miss: string }> {
  const [rows, columns] = ref.shape;
  if (ref.shape.length !== 2 || !isFloat(ref.dtype) || rows === undefined || columns === undefined)
    throw new Error(`a float matrix is needed, not ${ref.dtype}${JSON.stringify(ref.shape)}`);
  const sizes = groupSizes(columns);
  const finest = sizes.reduce(greatestCommonDivisor, columns);
  /** The magnitude in each row; 0 where all is zero, and where `varied` has more. */
  const rowScales = new Float32Array(rows);
  /** Rows with several magnitudes: one for each piece of `finest` weights. */
  const varied = new Map<number, Float32Array>();
  let zeros = 0;
  let row = 0;
  for await (const { data } of streamRows(ref, 1 << 20)) {
    for (let at = 0; at < data.length; at += columns, row++) {
      const values = data.subarray(at, at + columns);
      const pieces = magnitudes(values, finest);
      if (pieces === undefined) return { miss: describeRow(values, row) };
      zeros += pieces.zeros;
      const distinct = new Set(pieces.scales);
      distinct.delete(0);
      if (distinct.size > 1) varied.set(row, pieces.scales);
      else for (const scale of distinct) rowScales[row] = scale;
    }
  }
  const share = rows * columns === 0 ? 0 : zeros / (rows * columns);
  if (varied.size === 0) return { scale: scalesByRow(rowScales), group: 0, zeros: share };
  const size = sizes.find((group) =>
    [...varied.values()].every((scales) => fitsGroups(scales, group / finest)),
  );
  if (size === undefined) {
    const [first] = varied.keys();
    return {
      miss: `row ${first} has several scales, and they do not change every ${sizes.join(", ")} weights`,
    };
  }
  return {
    scale: scalesByGroup(rowScales, varied, columns / size, size / finest),
    group: size,
    zeros: share,
  };
}

/** Sizes of groups to try, the largest first; each divides `columns`. */
function groupSizes(columns: number): readonly number[] {
  const sizes = new Set([256, 128, 64, 32, 16]);
  for (const parts of [2, 3, 4, 5, 6, 8])
    if (columns % parts === 0 && columns / parts >= 16) sizes.add(columns / parts);
  return [...sizes].filter((size) => size < columns && columns % size === 0).sort((a, b) => b - a);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The one magnitude in each piece of a row, 0 for a piece of zeros; undefined where a piece has two. */
function magnitudes(row: TensorData, piece: number): { scales: Float32Array; zeros: number } | undefined {
  const scales = new Float32Array(row.length / piece);
  let zeros = 0;
  for (let p = 0, i = 0; p < scales.length; p++) {
    let scale = 0;
    for (const end = i + piece; i < end; i++) {
      const magnitude = Math.fround(Math.abs(row[i]!));
      if (magnitude === 0) zeros++;
      else if (scale === 0) scale = magnitude;
      else if (scale !== magnitude) return undefined;
    }
    if (!Number.isFinite(scale)) return undefined;
    scales[p] = scale;
  }
  return { scales, zeros };
}

function describeRow(values: TensorData, row: number): string {
  const counts = new Map<number, number>();
  for (const value of values) {
    const magnitude = Math.fround(Math.abs(value));
    if (!Number.isFinite(magnitude)) return `row ${row} has the value ${numberText(value)}`;
    if (magnitude !== 0) counts.set(magnitude, (counts.get(magnitude) ?? 0) + 1);
  }
  const times = (count: number): string => (count === 1 ? "once" : `${count} times`);
  const examples = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 2);
  const text = examples.map(([value, count]) => `${numberText(value)} (${times(count)})`).join(" and ");
  return `row ${row} has ${counts.size} different magnitudes, ${counts.size === 2 ? "" : "among them "}${text}`;
}

/** f32 [1] or [rows]; rows of zeros, whose scale means nothing, take 1. */
function scalesByRow(rowScales: Float32Array): Tensor {
  const distinct = new Set(rowScales);
  distinct.delete(0);
  if (distinct.size === 0) return tensor("f32", [1], [1]);
  if (distinct.size === 1) return tensor("f32", [1], [...distinct]);
  return tensor("f32", [rowScales.length], [...rowScales.map((scale) => scale || 1)]);
}

/** Whether each run of `count` pieces has at most one scale. */
function fitsGroups(scales: Float32Array, count: number): boolean {
  for (let from = 0; from < scales.length; from += count) {
    let scale = 0;
    for (let p = from; p < from + count; p++) {
      if (scales[p] === 0) continue;
      if (scale !== 0 && scale !== scales[p]) return false;
      scale = scales[p]!;
    }
  }
  return true;
}

function scalesByGroup(
  rowScales: Float32Array,
  varied: ReadonlyMap<number, Float32Array>,
  groups: number,
  count: number,
): Tensor {
  const rows = rowScales.length;
  const data = new Float32Array(rows * groups);
  for (let row = 0; row < rows; row++) {
    const pieces = varied.get(row);
    for (let g = 0; g < groups; g++) {
      const scale = pieces
        ? pieces.subarray(g * count, (g + 1) * count).find((s) => s !== 0)
        : rowScales[row];
      data[row * groups + g] = scale || 1;
    }
  }
  return { dtype: "f32", shape: [rows, groups], data };
}

/**
 * The scales of a weight that `analyseTernary` found to be ternary, f32. Large tables of them are not kept:
 * the weight is analysed again when they are read.
 */
export function ternaryScale(ref: WeightRef, { scale }: TernaryFacts): WeightRef {
  if (scale.data.length <= inlineLimit) return inlineWeight(scale);
  return computedWeight(`${ref.id} | ternary scale`, "f32", scale.shape, async () => {
    const facts = await analyseTernary(ref);
    if ("miss" in facts) throw new Error(`${ref.id} has changed: ${facts.miss}`);
    return facts.scale;
  });
}

/** The codes -1, 0, 1 of a float weight that `analyseTernary` found to be ternary: i8, same shape. */
export const ternaryCodes = (ref: WeightRef): WeightRef =>
  mapRows(ref, "ternary codes", { dtype: "i8", shape: ref.shape }, ({ shape, data }) => {
    const codes = new Int8Array(data.length);
    for (let i = 0; i < codes.length; i++) codes[i] = Math.sign(data[i]!);
    return { dtype: "i8", shape, data: codes };
  });

/** Means are computed when first needed, and once for the codes and the scale of a weight. */
const means = new WeakMap<WeightRef, Promise<number>>();

/** s = 1 / max(mean|W|, 1e-5), each step in f32; the sum behind the mean in f64. */
function absmeanFactor(ref: WeightRef): Promise<number> {
  let mean = means.get(ref);
  if (mean === undefined) {
    mean = meanMagnitude(ref);
    means.set(ref, mean);
  }
  return mean.then((value) => Math.fround(1 / Math.max(Math.fround(value), Math.fround(1e-5))));
}

async function meanMagnitude(ref: WeightRef): Promise<number> {
  let sum = 0;
  let count = 0;
  for await (const { data } of streamRows(ref)) {
    for (let i = 0; i < data.length; i++) sum += Math.abs(Math.fround(data[i]!));
    count += data.length;
  }
  if (!Number.isFinite(sum)) throw new BitnetcError(diagnostics.weightNotFinite(placeOf(ref)));
  return sum / count;
}

/**
 * Scale of a master weight quantised by its mean magnitude, as BitNet b1.58 trains: 1/s, an f32 [1]
 * (arXiv:2402.17764, eq. 1-3). Nothing is read before the scale is.
 */
export const absmeanScale = (ref: WeightRef): WeightRef =>
  computedWeight(`${ref.id} | absmean scale`, "f32", [1], async () =>
    tensor("f32", [1], [Math.fround(1 / (await absmeanFactor(ref)))]),
  );

/** Codes of a master weight quantised by its mean magnitude: clamp(round(W·s), -1, 1) in f32, as i8. */
export const absmeanCodes = (ref: WeightRef): WeightRef =>
  mapRows(ref, "absmean codes", { dtype: "i8", shape: ref.shape }, async ({ shape, data }) => {
    const factor = await absmeanFactor(ref);
    const codes = new Int8Array(data.length);
    for (let i = 0; i < codes.length; i++) {
      // rounding half to even leaves ±0.5 at 0
      const scaled = Math.fround(Math.fround(data[i]!) * factor);
      codes[i] = scaled > 0.5 ? 1 : scaled < -0.5 ? -1 : 0;
    }
    return { dtype: "i8", shape, data: codes };
  });

/**
 * Codes of a weight packed as transformers does: byte [r, c] holds rows r, r + R, r + 2R and r + 3R of column c
 * in its bits 0-1, 2-3, 4-5 and 6-7, each as code + 1.
 * @param ref [R, K] of bytes
 * @param rows N, at most 4·R
 * @returns i8 [N, K]; reading it fails with a BitnetcError where a byte holds 3
 */
export function hfPackedCodes(ref: WeightRef, rows: number): WeightRef {
  const [packedRows = 0, columns = 0] = ref.shape;
  if (rows > 4 * packedRows) throw new Error(`${packedRows} packed rows cannot hold ${rows} rows`);
  const bytes = ref.dtype === "u8" ? ref : bytesOf(ref);
  return {
    id: `${ref.id} | unpack ${rows} rows`,
    dtype: "i8",
    shape: [rows, columns],
    ...(bytes.whole === undefined ? {} : { whole: bytes.whole }),
    rows: async (from, to) => {
      const codes = new Int8Array((to - from) * columns);
      let at = 0;
      for (let lane = Math.floor(from / packedRows); lane * packedRows < to; lane++) {
        const first = lane * packedRows;
        const { data } = await bytes.rows(Math.max(from - first, 0), Math.min(to - first, packedRows));
        const shift = 2 * lane;
        for (let i = 0; i < data.length; i++, at++) {
          const code = (data[i]! >> shift) & 3;
          if (code === 3)
            throw new BitnetcError(
              diagnostics.weightPackedCode(placeOf(ref), from + Math.floor(at / columns)),
            );
          codes[at] = code - 1;
        }
      }
      return { dtype: "i8", shape: [to - from, columns], data: codes };
    },
  };
}

/** Packed bytes that were saved as numbers of another type. */
const bytesOf = (ref: WeightRef): WeightRef =>
  mapRows(ref, "bytes", { dtype: "u8", shape: ref.shape }, ({ shape, data }) => {
    const wrong = data.find((value: number) => !Number.isInteger(value) || value < 0 || value > 255);
    if (wrong !== undefined) throw new BitnetcError(diagnostics.weightPackedByte(placeOf(ref), wrong));
    const bytes = allocate("u8", data.length);
    bytes.set(data);
    return { dtype: "u8", shape, data: bytes };
  });

/**
 * Codes packed in blocks with scale 1.
 * @param codes i8 [N, K]
 * @returns logical shape [N, K]; rows are read as their packed bytes, `packedRowBytes` each
 */
export function packedTernary(codes: WeightRef, dtype: TernaryDType): WeightRef {
  const columns = codes.shape[1] ?? 1;
  return mapRows(codes, `pack ${dtype}`, { dtype, shape: codes.shape }, ({ shape, data }) => ({
    dtype,
    shape,
    data: packTernary(dtype, data as Int8Array, shape[0] ?? 1, columns),
  }));
}
