import { alignUp } from "../tensor/align.ts";
import { hasher } from "../tensor/sha256.ts";
import { type BlobEntry, chunkSize, sha256Of } from "./blob.ts";
import type { Sink } from "./sink.ts";

/** Bytes that a program holds under a name, produced while it is written. */
export interface NamedBlob {
  readonly key: string;
  readonly size: number;
  stream(): AsyncIterable<Uint8Array>;
}

/** A blob whose bytes are at hand. */
export const bytesBlob = (key: string, bytes: Uint8Array): NamedBlob => ({
  key,
  size: bytes.length,
  async *stream() {
    yield bytes;
  },
});

/** Of segments: ExecuTorch's default, and enough for every element type. */
export const segmentAlignment = 128;

export interface WrittenSegment {
  /** Relative to the first segment. */
  readonly offset: number;
  readonly size: number;
}

/** What was written, and which segment holds it. */
export interface PlacedBlob {
  readonly entry: BlobEntry;
  readonly segment: number;
}

/** Writes segments one behind the other, holding a chunk at a time. What is equal is one segment. */
export class SegmentWriter {
  readonly segments: WrittenSegment[] = [];
  readonly #byHash = new Map<string, number>();
  readonly #sink: Sink;
  readonly #base: number;
  #end = 0;
  #sharedBytes = 0;

  constructor(sink: Sink, base: number) {
    this.#sink = sink;
    this.#base = base;
  }

  /** Bytes from the first segment to the end of the last. */
  get size(): number {
    return this.#end;
  }

  /** Bytes of blobs that were not written because they were there already. */
  get sharedBytes(): number {
    return this.#sharedBytes;
  }

  /** The hash is known when the blob is written: the next one then overwrites a blob that was there already. */
  async write(blob: NamedBlob): Promise<PlacedBlob> {
    const offset = await this.#pad();
    const hash = hasher();
    const pieces = blob.size > chunkSize ? new PieceHasher() : undefined;
    let written = 0;
    for await (const chunk of blob.stream()) {
      hash.update(chunk);
      await pieces?.update(chunk);
      await this.#sink.write(this.#base + offset + written, chunk);
      written += chunk.length;
    }
    if (written !== blob.size)
      throw new Error(`${blob.key} should have had ${blob.size} bytes and had ${written}`);
    const sha256 = hash.digest();
    const count = this.segments.length;
    const segment = this.place(sha256, { offset, size: written });
    if (segment < count) this.#sharedBytes += written;
    else this.#end = offset + written;
    const chunks = pieces && { size: chunkSize, sha256: await pieces.digests() };
    return { entry: { key: blob.key, size: written, sha256, ...(chunks && { chunks }) }, segment };
  }

  async writeAll(blobs: readonly NamedBlob[]): Promise<readonly PlacedBlob[]> {
    const placed: PlacedBlob[] = [];
    for (const blob of blobs) placed.push(await this.write(blob));
    return placed;
  }

  /** @returns the segment of bytes that are written already, which is another one where those hold the same */
  place(sha256: string, bytes: WrittenSegment): number {
    const same = this.#byHash.get(sha256);
    if (same !== undefined) return same;
    const segment = this.segments.push(bytes) - 1;
    this.#byHash.set(sha256, segment);
    return segment;
  }

  /** Fills up to the next segment, over what may be left of a dropped one. */
  async #pad(): Promise<number> {
    const offset = alignUp(this.#end, segmentAlignment);
    if (offset > this.#end)
      await this.#sink.write(this.#base + this.#end, new Uint8Array(offset - this.#end));
    return offset;
  }
}

/** SHA-256 of each `chunkSize` bytes of what comes in parts of any size. */
class PieceHasher {
  readonly #digests: string[] = [];
  readonly #piece = new Uint8Array(chunkSize);
  #filled = 0;

  async update(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + chunkSize - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
      if (this.#filled === chunkSize) await this.#finish();
    }
  }

  async digests(): Promise<readonly string[]> {
    if (this.#filled > 0) await this.#finish();
    return this.#digests;
  }

  async #finish(): Promise<void> {
    this.#digests.push(await sha256Of(this.#piece.subarray(0, this.#filled)));
    this.#filled = 0;
  }
}
