import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { TernaryDType } from "../tensor/dtype.ts";
import { float16ToFloat32, float32ToFloat16 } from "../tensor/float16.ts";
import { blockWeights, type TernaryBlockFormat, type TernaryEncoder } from "./block.ts";
import { encodeTq1_0, tq1_0 } from "./tq1_0.ts";
import { encodeTq2_0, tq2_0 } from "./tq2_0.ts";

const formats: { readonly [D in TernaryDType]: TernaryBlockFormat } = { tq2_0, tq1_0 };
const encoders: { readonly [D in TernaryDType]: TernaryEncoder } = { tq2_0: encodeTq2_0, tq1_0: encodeTq1_0 };

/** Bytes of a block's scale. */
const scaleBytes = 2;
const one = float32ToFloat16(1);

const blockBytes = (dtype: TernaryDType): number => formats[dtype].codeBytes + scaleBytes;
/** Blocks of one row; the last one is filled up with zero weights. */
const blocksPerRow = (columns: number): number => Math.ceil(columns / blockWeights);
/** Bytes of one row of `columns` weights. */
export const packedRowBytes = (dtype: TernaryDType, columns: number): number =>
  blocksPerRow(columns) * blockBytes(dtype);

/**
 * Packs a row-major matrix of codes.
 * @param codes -1, 0 or 1, `rows`·`columns` of them
 * @param scales the scale d of every block, row by row, or one for all; a weight is d·code
 * @returns `rows` · `packedRowBytes` bytes
 * @throws BitnetcError for a scale that fp16 cannot hold exactly; RangeError for a code out of range
 */
export function packTernary(
  dtype: TernaryDType,
  codes: Int8Array,
  rows: number,
  columns: number,
  scales: number | Float32Array = 1,
): Uint8Array<ArrayBuffer> {
  const { codeBytes } = formats[dtype];
  const encode = encoders[dtype];
  const blocks = blocksPerRow(columns);
  if (codes.length !== rows * columns)
    throw new RangeError(`${rows * columns} codes expected, ${codes.length} given`);
  if (typeof scales !== "number" && scales.length !== rows * blocks)
    throw new RangeError(`${rows * blocks} block scales expected, ${scales.length} given`);
  for (let i = 0; i < codes.length; i++)
    if (codes[i]! < -1 || codes[i]! > 1) throw new RangeError(`code ${codes[i]} at ${i} is not ternary`);

  const out = new Uint8Array(rows * packedRowBytes(dtype, columns));
  const last = new Int8Array(blockWeights);
  let outAt = 0;
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const from = row * columns + block * blockWeights;
      const count = Math.min(blockWeights, columns - block * blockWeights);
      if (count === blockWeights) {
        encode(codes, from, out, outAt);
      } else {
        last.fill(0);
        last.set(codes.subarray(from, from + count));
        encode(last, 0, out, outAt);
      }
      const d = typeof scales === "number" ? exactHalf(scales) : exactHalf(scales[row * blocks + block]!);
      out[outAt + codeBytes] = d & 255;
      out[outAt + codeBytes + 1] = d >> 8;
      outAt += codeBytes + scaleBytes;
    }
  }
  return out;
}

interface TernaryBlocks {
  /** `rows`·`columns` codes -1, 0 or 1; padding left out. */
  readonly codes: Int8Array<ArrayBuffer>;
  /** The scale of every block, row by row. */
  readonly scales: Float32Array<ArrayBuffer>;
}

/**
 * Unpacks codes and block scales.
 * @throws BitnetcError for too few bytes, and for bytes that stand for no ternary code
 */
export function unpackTernaryBlocks(
  dtype: TernaryDType,
  bytes: Uint8Array,
  rows: number,
  columns: number,
): TernaryBlocks {
  const { codeBytes, decode } = formats[dtype];
  const blocks = blocksPerRow(columns);
  const need = rows * packedRowBytes(dtype, columns);
  if (bytes.byteLength < need)
    throw new BitnetcError(diagnostics.packedTooShort(dtype, need, bytes.byteLength));
  const codes = new Int8Array(rows * columns);
  const scales = new Float32Array(rows * blocks);
  const last = new Int8Array(blockWeights);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const to = row * columns + block * blockWeights;
      const count = Math.min(blockWeights, columns - block * blockWeights);
      const wrong = count === blockWeights ? decode(bytes, at, codes, to) : decode(bytes, at, last, 0);
      if (wrong >= 0) throw new BitnetcError(diagnostics.packedCode(dtype, bytes[at + wrong]!, row, block));
      if (count < blockWeights) codes.set(last.subarray(0, count), to);
      scales[row * blocks + block] = float16ToFloat32(
        bytes[at + codeBytes]! | (bytes[at + codeBytes + 1]! << 8),
      );
      at += codeBytes + scaleBytes;
    }
  }
  return { codes, scales };
}

/**
 * Unpacks the codes of a matrix whose block scales are all 1, as `packTernary` writes them by default.
 * @returns `rows`·`columns` codes -1, 0 or 1, row-major
 * @throws BitnetcError as `unpackTernaryBlocks` does, and for a block of nonzero weights with another scale
 */
export function unpackTernary(
  dtype: TernaryDType,
  bytes: Uint8Array,
  rows: number,
  columns: number,
): Int8Array<ArrayBuffer> {
  const { codes, scales } = unpackTernaryBlocks(dtype, bytes, rows, columns);
  const blocks = blocksPerRow(columns);
  for (let i = 0; i < scales.length; i++) {
    if (scales[i] === 1) continue;
    const row = Math.floor(i / blocks);
    const from = (i % blocks) * blockWeights;
    const block = codes.subarray(
      row * columns + from,
      row * columns + Math.min(columns, from + blockWeights),
    );
    // the scale of a block of zeros means nothing, and ggml writes 0 there
    if (block.some((code) => code !== 0))
      throw new BitnetcError(diagnostics.packedScale(dtype, scales[i]!, row, i % blocks));
  }
  return codes;
}

function exactHalf(scale: number): number {
  if (scale === 1) return one;
  const half = float32ToFloat16(scale);
  if (float16ToFloat32(half) !== scale || !Number.isFinite(scale))
    throw new BitnetcError(diagnostics.packedScaleInexact(scale));
  return half;
}
