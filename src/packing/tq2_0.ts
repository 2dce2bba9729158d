import type { TernaryBlockFormat, TernaryEncoder } from "./block.ts";

/** Bytes 0-31 hold elements 0-127, bytes 32-63 elements 128-255; the four lanes of a byte are 32 apart. */
const stride = 32;
const half = 128;

/** ggml `block_tq2_0`: 2 bits a weight, code = weight + 1. Element e: byte 32·⌊e/128⌋ + e mod 32, bits 2·⌊(e mod 128)/32⌋. */
export const tq2_0: TernaryBlockFormat = {
  codeBytes: 64,
  decode(bytes, bytesAt, codes, codesAt) {
    for (let h = 0; h < 2; h++) {
      for (let m = 0; m < stride; m++) {
        const byte = bytes[bytesAt + h * stride + m]!;
        // code 3 is the only one with both of its bits set
        if ((byte & (byte >> 1) & 0x55) !== 0) return h * stride + m;
        const e = codesAt + h * half + m;
        codes[e] = (byte & 3) - 1;
        codes[e + stride] = ((byte >> 2) & 3) - 1;
        codes[e + 2 * stride] = ((byte >> 4) & 3) - 1;
        codes[e + 3 * stride] = (byte >> 6) - 1;
      }
    }
    return -1;
  },
};

export const encodeTq2_0: TernaryEncoder = (codes, codesAt, out, outAt) => {
  for (let h = 0; h < 2; h++) {
    for (let m = 0; m < stride; m++) {
      const e = codesAt + h * half + m;
      out[outAt + h * stride + m] =
        (codes[e]! + 1) |
        ((codes[e + stride]! + 1) << 2) |
        ((codes[e + 2 * stride]! + 1) << 4) |
        ((codes[e + 3 * stride]! + 1) << 6);
    }
  }
};
