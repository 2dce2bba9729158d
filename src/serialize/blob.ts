import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { hexOf } from "../tensor/hex.ts";
import { portableSha256 } from "../tensor/sha256-portable.ts";
import type { ByteRange } from "../tensor/source.ts";

/** What a part of a program must be. */
export interface BlobEntry {
  readonly key: string;
  /** In bytes. */
  readonly size: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  /** Pieces that can be checked one by one. Absent where the whole is one piece. */
  readonly chunks?: {
    /** Bytes of each piece but the last. */
    readonly size: number;
    readonly sha256: readonly string[];
  };
}

/** Bytes of the pieces that a writer makes of a blob. */
export const chunkSize = 1 << 22;

/** A range of a program, and how many zeros follow it up to the next. */
export interface Segment extends ByteRange {
  readonly padding: number;
}

/** Keeps pieces of programs from one visit to the next. What it gives is checked like what a program gives. */
export interface ChunkCache {
  /** @param sha256 in hexadecimal */
  get(sha256: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** @param bytes often a small part of a large buffer */
  put(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** SHA-256 in hexadecimal; by the platform where it has one, which is several times as fast. */
export async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // Browsers offer `crypto.subtle` to pages of https and localhost only.
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  return hexOf(subtle ? new Uint8Array(await subtle.digest("SHA-256", bytes)) : portableSha256(bytes));
}

/**
 * Reads a part of a program piece by piece, and checks each to be what was written before it is handed out. While
 * the caller works on one, the next is read.
 * @param at what errors call the program
 * @throws BitnetcError `program-corrupt` when its size differs, `program-hash` when its contents do
 */
export async function* chunksOf(
  at: string,
  segment: Segment,
  entry: BlobEntry,
  cache?: ChunkCache,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { key, size } = entry;
  if (segment.size !== size) {
    const detail = `the part ${key} should have ${size} bytes and has ${segment.size}`;
    throw new BitnetcError(diagnostics.programCorrupt(at, detail));
  }
  const chunks = entry.chunks ?? { size, sha256: [entry.sha256] };
  const load = async (i: number): Promise<Uint8Array<ArrayBuffer>> => {
    const sha256 = chunks.sha256[i]!;
    const from = i * chunks.size;
    const to = Math.min(from + chunks.size, size);
    // A cache that fails is one that has nothing.
    const kept = await cache?.get(sha256).catch(() => undefined);
    if (kept !== undefined && (await sha256Of(kept)) === sha256) return kept;
    const end = to === size ? size + segment.padding : to;
    const bytes = await readPart(at, segment, from, end);
    const piece = bytes.subarray(0, to - from);
    if ((await sha256Of(piece)) !== sha256) throw new BitnetcError(diagnostics.programHash(at, key));
    if (bytes.subarray(to - from).some((byte) => byte !== 0))
      throw new BitnetcError(diagnostics.programCorrupt(at, `what follows the part ${key} should be zeros`));
    await cache?.put(sha256, piece).catch(() => undefined);
    return piece;
  };
  let next = load(0);
  for (let i = 1; i <= chunks.sha256.length; i++) {
    const piece = await next;
    if (i < chunks.sha256.length) {
      next = load(i);
      // Its error is the caller's when the piece is asked for, and nobody's when it never is.
      next.catch(() => undefined);
    }
    yield piece;
  }
}

/** All of a part of a program. @throws as `chunksOf` */
export const readBlob = (
  at: string,
  segment: Segment,
  entry: BlobEntry,
  cache?: ChunkCache,
): Promise<Uint8Array<ArrayBuffer>> => joinChunks(entry.size, chunksOf(at, segment, entry, cache));

/** Pieces of `size` bytes in all as one; a single one as it is. */
export async function joinChunks(
  size: number,
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  let filled = 0;
  for await (const chunk of chunks) {
    if (chunk.length === size) return chunk;
    bytes ??= new Uint8Array(size);
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes ?? new Uint8Array(size);
}

/** All bytes of a range, unchecked. @throws BitnetcError `program-truncated` when fewer come than there were */
export const readRange = (at: string, range: ByteRange): Promise<Uint8Array<ArrayBuffer>> =>
  readPart(at, range, 0, range.size);

async function readPart(
  at: string,
  range: ByteRange,
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await range.read(from, to);
  if (bytes.byteLength !== to - from)
    throw new BitnetcError(diagnostics.programTruncated(at, to, from + bytes.byteLength));
  return bytes as Uint8Array<ArrayBuffer>;
}
