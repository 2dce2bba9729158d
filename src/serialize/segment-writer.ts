import { hasher } from "../tensor/sha256.ts";
import { type BlobEntry, chunkSize, sha256Of } from "./blob.ts";
import type { Sink } from "./sink.ts";

/** Bytes that a program holds under a name, produced while it is written. */
export interface NamedBlob {
  readonly key: string;
  readonly size: number;
  stream(): AsyncIterable<Uint8Array>;
}

/** Of segments: ExecuTorch's default, and enough for every element type. */
const segmentAlignment = 128;
export const align = (offset: number): number => Math.ceil(offset / segmentAlignment) * segmentAlignment;

export interface WrittenSegment {
  /** Relative to the first segment. */
  readonly offset: number;
  readonly size: number;
}

export interface HashedSegment extends WrittenSegment {
  readonly sha256: string;
}

/** Writes segments one behind the other, holding a chunk at a time. */
export class SegmentWriter {
  readonly segments: WrittenSegment[] = [];
  readonly #byHash = new Map<string, number>();
  readonly #sink: Sink;
  readonly #base: number;
  #end = 0;

  constructor(sink: Sink, base: number) {
    this.#sink = sink;
    this.#base = base;
  }

  /** The hash is known when the blob is written: the next one then overwrites a blob that was there already. */
  async write(blob: NamedBlob): Promise<{ readonly segment: number } & Pick<BlobEntry, "sha256" | "chunks">> {
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
    const hashes = { sha256, ...(pieces && { chunks: { size: chunkSize, sha256: await pieces.digests() } }) };
    const same = this.#byHash.get(sha256);
    if (same !== undefined) return { segment: same, ...hashes };
    const segment = this.segments.push({ offset, size: written }) - 1;
    this.#byHash.set(sha256, segment);
    this.#end = offset + written;
    return { segment, ...hashes };
  }

  /** Writes a segment of its own. */
  async append(bytes: Uint8Array): Promise<HashedSegment> {
    const offset = await this.#pad();
    const hash = hasher();
    hash.update(bytes);
    await this.#sink.write(this.#base + offset, bytes);
    const segment = { offset, size: bytes.length };
    this.segments.push(segment);
    return { ...segment, sha256: hash.digest() };
  }

  /** Fills up to the next segment, over what may be left of a dropped one. */
  async #pad(): Promise<number> {
    const offset = align(this.#end);
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
