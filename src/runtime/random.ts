/**
 * PCG32 (PCG-XSH-RR 64/32): M. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
 * Algorithms for Random Number Generation", HMC-CS-2014-0905. Equal seeds give equal sequences everywhere.
 */
export class Pcg32 {
  #state = 0n;
  readonly #increment: bigint;

  /** @param stream selects one of 2^63 sequences */
  constructor(seed: bigint, stream = 54n) {
    this.#increment = BigInt.asUintN(64, (stream << 1n) | 1n);
    this.next();
    this.#state = BigInt.asUintN(64, this.#state + seed);
    this.next();
  }

  /** An integer in [0, 2^32). */
  next(): number {
    const old = this.#state;
    this.#state = BigInt.asUintN(64, old * 6364136223846793005n + this.#increment);
    const shifted = Number(BigInt.asUintN(32, ((old >> 18n) ^ old) >> 27n));
    const rotation = Number(old >> 59n);
    return ((shifted >>> rotation) | (shifted << (-rotation & 31))) >>> 0;
  }

  /** A number in [0, 1), a multiple of 2^-53. */
  uniform(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }
}
