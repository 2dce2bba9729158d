/** Where a file is written to: parts in any order. */
export interface Sink {
  /** Writes all of `bytes` at `offset`. The memory is the caller's again when the promise is settled. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Sets the size of the file: cuts what is beyond, or fills with zeros. */
  truncate(size: number): Promise<void>;
}

export interface MemorySink extends Sink {
  /** What was written so far. */
  bytes(): Uint8Array<ArrayBuffer>;
}

/** A file in memory, for browsers and tests. */
export function memorySink(): MemorySink {
  let memory = new Uint8Array(1 << 16);
  let size = 0;
  const resize = (next: number): void => {
    if (next > memory.length) {
      const larger = new Uint8Array(Math.max(next, 2 * memory.length));
      larger.set(memory.subarray(0, size));
      memory = larger;
    }
    if (next < size) memory.fill(0, next, size);
    size = next;
  };
  return {
    write: async (offset, bytes) => {
      resize(Math.max(size, offset + bytes.length));
      memory.set(bytes, offset);
    },
    truncate: async (next) => resize(next),
    bytes: () => memory.slice(0, size),
  };
}
