import type { TernaryBlockFormat, TernaryEncoder } from "./block.ts";

/** A run of bytes whose digits are `bytes` elements apart: digit n of byte m is element first + n·bytes + m. */
interface Run {
  readonly firstElement: number;
  readonly firstByte: number;
  readonly bytes: number;
  readonly digits: number;
}

const runs: readonly Run[] = [
  { firstElement: 0, firstByte: 0, bytes: 32, digits: 5 },
  { firstElement: 160, firstByte: 32, bytes: 16, digits: 5 },
  { firstElement: 240, firstByte: 48, bytes: 4, digits: 4 },
];

const digitsPerByte = 5;
/** Values of five base-3 digits. */
const values = 3 ** digitsPerByte;

/** ⌈v·256/243⌉: the fraction v/243 with 8 bits, so that digits come off the top by multiplying with 3. */
const byteOfValue = (value: number): number => Math.floor((value * 256 + values - 1) / values);
/** Digit n of a byte, most significant first, at 5·byte + n. */
const digitsOfByte = new Uint8Array(256 * digitsPerByte);
/** The digits that a byte stands for, as a number; -1 for the 13 bytes that stand for none. */
const valueOfByte = new Int16Array(256).fill(-1);

for (let value = 0; value < values; value++) {
  const byte = byteOfValue(value);
  valueOfByte[byte] = value;
  for (let n = 0, power = values / 3; n < digitsPerByte; n++, power /= 3)
    digitsOfByte[byte * digitsPerByte + n] = Math.floor(value / power) % 3;
}

/** ggml `block_tq1_0`: five weights a byte in base 3, digit = weight + 1; the last four bytes hold four each. */
export const tq1_0: TernaryBlockFormat = {
  codeBytes: 52,
  decode(bytes, bytesAt, codes, codesAt) {
    for (const { firstElement, firstByte, bytes: count, digits } of runs) {
      for (let m = 0; m < count; m++) {
        const byte = bytes[bytesAt + firstByte + m]!;
        const value = valueOfByte[byte]!;
        if (value < 0 || (digits < digitsPerByte && value % 3 !== 0)) return firstByte + m;
        for (let n = 0; n < digits; n++)
          codes[codesAt + firstElement + n * count + m] = digitsOfByte[byte * digitsPerByte + n]! - 1;
      }
    }
    return -1;
  },
};

export const encodeTq1_0: TernaryEncoder = (codes, codesAt, out, outAt) => {
  for (const { firstElement, firstByte, bytes, digits } of runs) {
    for (let m = 0; m < bytes; m++) {
      let value = 0;
      for (let n = 0; n < digits; n++) value = value * 3 + codes[codesAt + firstElement + n * bytes + m]! + 1;
      out[outAt + firstByte + m] = byteOfValue(digits === digitsPerByte ? value : value * 3);
    }
  }
};
