import { hasher } from "../tensor/sha256.ts";
import type { NamedBlob } from "./segment-writer.ts";

/** Bytes of a program's constants that a delegate needs too. They are stored once. */
export interface ConstantRange {
  readonly key: string;
  /** Among the constants, a multiple of 16. */
  readonly offset: number;
  readonly size: number;
}

/** Takes the SHA-256 of ranges of a blob, which may overlap, while it streams by. */
export class RangeHasher {
  readonly #ranges: readonly (ConstantRange & { readonly hash: ReturnType<typeof hasher> })[];

  constructor(ranges: readonly ConstantRange[]) {
    this.#ranges = ranges
      .map((range) => ({ ...range, hash: hasher() }))
      .sort((a, b) => a.offset - b.offset || a.size - b.size);
  }

  /** The same blob. Its ranges are hashed when it is streamed, which may be done once. */
  watch(blob: NamedBlob): NamedBlob {
    for (const { key, offset, size } of this.#ranges)
      if (offset + size > blob.size)
        throw new Error(`${key} ends at ${offset + size} of ${blob.size} bytes of ${blob.key}`);
    const update = (chunk: Uint8Array, at: number): void => this.#update(chunk, at);
    return {
      ...blob,
      async *stream() {
        let at = 0;
        for await (const chunk of blob.stream()) {
          update(chunk, at);
          at += chunk.length;
          yield chunk;
        }
      },
    };
  }

  #update(chunk: Uint8Array, at: number): void {
    for (const { offset, size, hash } of this.#ranges) {
      const from = Math.max(0, offset - at);
      const to = Math.min(chunk.length, offset + size - at);
      if (from < to) hash.update(chunk.subarray(from, to));
    }
  }

  /** By their offsets, with SHA-256 in hexadecimal, when the blob has been streamed. */
  digests(): readonly (ConstantRange & { readonly sha256: string })[] {
    return this.#ranges.map(({ hash, ...range }) => ({ ...range, sha256: hash.digest() }));
  }
}
