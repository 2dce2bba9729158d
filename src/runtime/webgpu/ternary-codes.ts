import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import { tq1_0 } from "../../packing/tq1_0.ts";
import { tq2_0 } from "../../packing/tq2_0.ts";
import type { TernaryDType } from "../../tensor/dtype.ts";
import { float16ToFloat32 } from "../../tensor/float16.ts";

/** Bytes of 256 weights in the layout `ternary-codes`. */
export const codeBytes = 64;
/** Bytes of 256 weights with their scale, as a program holds them. */
export const blockBytes: Readonly<Record<TernaryDType, number>> = { tq2_0: 66, tq1_0: 54 };

const formats = { tq2_0, tq1_0 };

/** A scale of 1 in fp16. */
const one = 0x3c00;
/** Four weights of 0. */
const zeros = 0x55;
/** A flag of `lanesOfByte` for bytes that stand for no weights. */
const invalid = 0x8000;

/**
 * Makes `ternary-codes` of whole blocks.
 * @param input from its start, which is aligned to 2 bytes
 * @param output from its start, which is aligned to 4 bytes
 * @param first number of the first block in its tensor
 * @param rowBlocks blocks of a row of the tensor, to say where a fault is
 * @throws BitnetcError for bytes that stand for no ternary weights, and for scales other than 1
 */
export function toTernaryCodes(
  dtype: TernaryDType,
  input: Uint8Array<ArrayBuffer>,
  output: Uint8Array<ArrayBuffer>,
  blocks: number,
  first: number,
  rowBlocks: number,
): void {
  const wrong = dtype === "tq2_0" ? stripScales(input, output, blocks) : recode(input, output, blocks);
  if (wrong < 0) return;
  const row = Math.floor((first + wrong) / rowBlocks);
  const block = (first + wrong) % rowBlocks;
  const bytes = input.subarray(wrong * blockBytes[dtype], (wrong + 1) * blockBytes[dtype]);
  const scale = bytes.at(-2)! | (bytes.at(-1)! << 8);
  const bad = formats[dtype].decode(bytes, 0, new Int8Array(256), 0);
  throw new BitnetcError(
    bad < 0
      ? diagnostics.packedScale(dtype, float16ToFloat32(scale), row, block)
      : diagnostics.packedCode(dtype, bytes[bad]!, row, block),
  );
}

/** @returns the first block with a fault, or -1 */
function stripScales(
  input: Uint8Array<ArrayBuffer>,
  output: Uint8Array<ArrayBuffer>,
  blocks: number,
): number {
  const from = new Uint16Array(input.buffer);
  const to = new Uint32Array(output.buffer);
  for (let block = 0, at = 0; block < blocks; block++, at++) {
    let threes = 0;
    let weights = 0;
    for (let i = block * 16, end = i + 16; i < end; i++, at += 2) {
      const word = from[at]! | (from[at + 1]! << 16);
      threes |= word & (word >>> 1);
      weights |= word ^ 0x55555555;
      to[i] = word;
    }
    // the scale of a block of zeros means nothing
    if ((threes & 0x55555555) !== 0 || (from[at] !== one && weights !== 0)) return block;
  }
  return -1;
}

/** From base 3 to 2 bits; `packing/tq1_0.ts` and `packing/tq2_0.ts` say which weight is where. */
function recode(input: Uint8Array, output: Uint8Array, blocks: number): number {
  const table = lanes();
  for (let block = 0, from = 0, to = 0; block < blocks; block++, from += blockBytes.tq1_0, to += codeBytes) {
    let faults = 0;
    let weights = 0;
    for (let m = 0; m < 16; m++) {
      const a = table[input[from + m]!]!;
      const b = table[input[from + 16 + m]!]!;
      const c = table[input[from + 32 + m]!]!;
      const d = table[input[from + 48 + (m & 3)]!]!;
      // the last bytes have no fifth weight: its bits move to that of `invalid`
      faults |= a | b | c | d | (d << 6) | (d << 7);
      const e = (a >> 8) | (c >> 16);
      const f = (b >> 8) | (c >> 24) | (((d >> (2 * (m >> 2))) & 3) << 6);
      output[to + m] = a;
      output[to + 16 + m] = b;
      output[to + 32 + m] = e;
      output[to + 48 + m] = f;
      weights |= (a ^ zeros) | (b ^ zeros) | (e ^ zeros) | (f ^ zeros);
    }
    if ((faults & invalid) !== 0) return block;
    const scale = input[from + tq1_0.codeBytes]! | (input[from + tq1_0.codeBytes + 1]! << 8);
    if (scale !== one && (weights & 255) !== 0) return block;
  }
  return -1;
}

let lanesOfByte: Int32Array | undefined;

/**
 * The five weights that a byte of tq1_0 stands for, at 2 bits each from the low bit up; from bit 16 on the first, third
 * and fifth at bits 2, 4 and 6 of a byte, and from bit 24 on the second and fourth at its bits 2 and 4.
 */
function lanes(): Int32Array {
  if (lanesOfByte !== undefined) return lanesOfByte;
  lanesOfByte = new Int32Array(256);
  const block = new Uint8Array(tq1_0.codeBytes);
  const codes = new Int8Array(256);
  for (let byte = 0; byte < 256; byte++) {
    block[0] = byte;
    let packed = tq1_0.decode(block, 0, codes, 0) < 0 ? 0 : invalid;
    for (let n = 0; n < 5; n++) {
      const weight = codes[32 * n]! + 1;
      packed |= (weight << (2 * n)) | (weight << ((n % 2 === 0 ? 18 : 26) + 2 * (n >> 1)));
    }
    lanesOfByte[byte] = packed;
  }
  return lanesOfByte;
}
