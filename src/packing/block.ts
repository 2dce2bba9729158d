/** Weights in a block of either format. */
export const blockWeights = 256;

/** A ternary storage format: how 256 codes lie in the bytes in front of the block's fp16 scale. */
export interface TernaryBlockFormat {
  /** Bytes of the codes. The scale `d`, fp16 little-endian, follows them. */
  readonly codeBytes: number;
  /**
   * Reads bytes[bytesAt … +codeBytes] to codes[codesAt … +256].
   * @returns the offset in the block of a byte that no encoding writes, or -1
   */
  decode(bytes: Uint8Array, bytesAt: number, codes: Int8Array, codesAt: number): number;
}

/** Writes codes[codesAt … +256], each -1, 0 or 1, to out[outAt … +codeBytes]. */
export type TernaryEncoder = (codes: Int8Array, codesAt: number, out: Uint8Array, outAt: number) => void;
