/**
 * A place in memory for intermediate numbers, kept from call to call because allocating and zeroing it each time
 * costs more than small kernels do. Every place in the code that needs one has its own.
 */
export class Scratch {
  #memory = new Float64Array(0);

  /** At least `length` numbers, with whatever the last use left in them. */
  take(length: number): Float64Array {
    if (this.#memory.length < length) this.#memory = new Float64Array(length);
    return this.#memory;
  }
}
