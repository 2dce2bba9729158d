import { alignUp } from "../tensor/align.ts";
import { sha256Of } from "./blob.ts";
import { type ConstantRange, RangeHasher } from "./constant-ranges.ts";
import { insertHeader } from "./header.ts";
import type { ProgramTables } from "./program.ts";
import { encodeProgram } from "./program-encoder.ts";
import {
  bytesBlob,
  type NamedBlob,
  type PlacedBlob,
  SegmentWriter,
  segmentAlignment,
  type WrittenSegment,
} from "./segment-writer.ts";
import type { Sink } from "./sink.ts";

/** What a program file is made of. */
export interface ProgramParts {
  readonly blobs: readonly NamedBlob[];
  /** Parts of the first blob that are segments too. */
  readonly ranges: readonly ConstantRange[];
  /** Each makes a delegate's blob, when all other data is written. */
  readonly delegates: readonly ((data: PlacedData) => Uint8Array)[];
  /** For a file in which nothing is shared, it must return the largest tables. */
  tables(placed: PlacedParts, headSha256: string): ProgramTables;
}

export interface PlacedData {
  readonly blobs: readonly PlacedBlob[];
  /** By their offsets. */
  readonly ranges: readonly PlacedBlob[];
}

export interface PlacedParts extends PlacedData {
  readonly segments: readonly WrittenSegment[];
  readonly delegates: readonly PlacedBlob[];
}

export interface WrittenProgram {
  /** Bytes of the whole file. */
  readonly size: number;
  readonly blobs: readonly PlacedBlob["entry"][];
  /** Bytes that were not written because others with the same contents were. */
  readonly sharedBytes: number;
}

/**
 * Writes a program file: extended header and flatbuffer, the blobs, those of delegates. Each is a segment; blobs of
 * equal contents are one.
 *
 * The flatbuffer comes first in the file and is known last, so room for the largest that it can be is left.
 */
export async function writeParts(parts: ProgramParts, sink: Sink): Promise<WrittenProgram> {
  const longest = encodeProgram(parts.tables(nothingShared(parts), noHash));
  const base = alignUp(insertHeader(longest, 0, 0).length, segmentAlignment);
  const writer = new SegmentWriter(sink, base);
  const data = await writeData(parts, writer);
  const delegates: PlacedBlob[] = [];
  for (const build of parts.delegates) delegates.push(await writer.write(bytesBlob("delegate", build(data))));

  const { segments, size, sharedBytes } = writer;
  const frontWith = (headSha256: string): Uint8Array<ArrayBuffer> => {
    const front = new Uint8Array(base);
    const tables = parts.tables({ ...data, delegates, segments }, headSha256);
    front.set(insertHeader(encodeProgram(tables), base, size));
    return front;
  };
  await sink.write(0, frontWith(await sha256Of(frontWith(noHash))));
  await sink.truncate(base + size);
  return { size: base + size, blobs: data.blobs.map(({ entry }) => entry), sharedBytes };
}

async function writeData({ blobs, ranges }: ProgramParts, writer: SegmentWriter): Promise<PlacedData> {
  const hasher = new RangeHasher(ranges);
  const [first, ...others] = blobs;
  const head = await writer.writeAll(first === undefined ? [] : [hasher.watch(first)]);
  const placed = hasher.digests().map(({ sha256, key, offset, size }) => ({
    entry: { key, size, sha256 },
    segment: writer.place(sha256, { offset, size }),
  }));
  return { blobs: [...head, ...(await writer.writeAll(others))], ranges: placed };
}

/** What stands for a SHA-256 that is not known yet. */
const noHash = "0".repeat(64);

/** Where everything would be if it were a segment of its own. */
function nothingShared({ blobs, ranges, delegates }: ProgramParts): PlacedParts {
  let count = 0;
  const place = ({ key, size }: { readonly key: string; readonly size: number }): PlacedBlob => ({
    // Different ones for different data.
    entry: { key, size, sha256: String(count).padStart(noHash.length, "0") },
    segment: count++,
  });
  const parts = {
    blobs: blobs.map(place),
    ranges: ranges.map(place),
    delegates: delegates.map(() => place({ key: "delegate", size: 0 })),
  };
  return { ...parts, segments: Array.from({ length: count }, () => ({ offset: 0, size: 0 })) };
}
