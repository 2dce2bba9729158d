import { bytesToHex } from "@noble/hashes/utils.js";
import { hasher } from "../tensor/sha256.ts";
import type { BlobEntry } from "./blob.ts";
import { insertHeader } from "./header.ts";
import { type ConstantValue, constantMethod, delegateMethod, type TensorMeta } from "./methods.ts";
import type { DelegateTable, ProgramTables } from "./program.ts";
import { encodeProgram } from "./program-encoder.ts";
import type { Sink } from "./sink.ts";

/** Bytes that a program holds under a name, produced while it is written. */
export interface NamedBlob {
  readonly key: string;
  readonly size: number;
  stream(): AsyncIterable<Uint8Array>;
}

/** What goes into a program whose methods are one delegate's. */
export interface ProgramContents {
  readonly methods: readonly {
    readonly name: string;
    readonly inputs: readonly TensorMeta[];
    readonly outputs: readonly TensorMeta[];
  }[];
  /** By name. */
  readonly constantMethods: Readonly<Record<string, ConstantValue>>;
  readonly namedData: readonly NamedBlob[];
  readonly delegate: {
    /** The backend's name in ExecuTorch's registry. */
    readonly id: string;
    /** What kind of blob it is, for readers: the identifier of its flatbuffer. */
    readonly format: string;
    /** Makes the delegate's blob, when all named data is written. */
    build(blobs: readonly BlobEntry[]): Uint8Array;
  };
}

export interface WrittenProgram {
  /** Bytes of the whole file. */
  readonly size: number;
  readonly blobs: readonly BlobEntry[];
  /** Bytes of named data that were not written because other named data has the same contents. */
  readonly sharedBytes: number;
}

/** Of segments: ExecuTorch's default, and enough for every element type. */
const segmentAlignment = 128;
const align = (offset: number): number => Math.ceil(offset / segmentAlignment) * segmentAlignment;

/**
 * Writes a program file: extended header and flatbuffer, the named data, the delegate's blob. Each blob is a
 * segment; blobs of equal contents are one. What is written depends on `contents` only.
 *
 * The flatbuffer comes first in the file and is known last, so room for the largest that it can be is left.
 */
export async function writeProgram(contents: ProgramContents, sink: Sink): Promise<WrittenProgram> {
  checkKeys(contents.namedData);
  const distinct = contents.namedData.map(({ size }, segment) => ({ segment, offset: 0, size }));
  const longest = encodeProgram(describe(contents, distinct, { offset: 0, size: 0 }, "0".repeat(64)));
  const base = align(insertHeader(longest, 0, 0).length);

  const writer = new SegmentWriter(sink, base);
  const placed: PlacedBlob[] = [];
  const blobs: BlobEntry[] = [];
  for (const blob of contents.namedData) {
    const { segment, sha256 } = await writer.write(blob);
    placed.push({ segment, ...writer.segments[segment]! });
    blobs.push({ key: blob.key, size: blob.size, sha256 });
  }
  const bytes = contents.delegate.build(blobs);
  const delegate = await writer.append(bytes);

  const dataSize = delegate.offset + delegate.size;
  const flatbuffer = encodeProgram(describe(contents, placed, delegate, delegate.sha256));
  const front = new Uint8Array(base);
  front.set(insertHeader(flatbuffer, base, dataSize));
  await sink.write(0, front);
  await sink.truncate(base + dataSize);
  const written = writer.segments.reduce((sum, { size }) => sum + size, 0) - bytes.length;
  return {
    size: base + dataSize,
    blobs,
    sharedBytes: blobs.reduce((sum, { size }) => sum + size, 0) - written,
  };
}

function checkKeys(blobs: readonly NamedBlob[]): void {
  const keys = new Set<string>();
  for (const { key } of blobs) {
    if (keys.has(key)) throw new Error(`two blobs have the key ${key}`);
    keys.add(key);
  }
}

interface PlacedBlob extends Segment {
  readonly segment: number;
}

interface Segment {
  /** Relative to the first segment. */
  readonly offset: number;
  readonly size: number;
}

/** The delegate's blob is the last segment. Methods are in the order of their names, constant ones last. */
function describe(
  { methods, constantMethods, namedData, delegate }: ProgramContents,
  placed: readonly PlacedBlob[],
  delegateSegment: Segment,
  delegateSha256: string,
): ProgramTables {
  const segments: Segment[] = [];
  for (const { segment, offset, size } of placed) segments[segment] = { offset, size };
  const table: DelegateTable = {
    id: delegate.id,
    location: "SEGMENT",
    index: segments.length,
    specs: [
      { key: "format", value: bytesToHex(new TextEncoder().encode(delegate.format)) },
      { key: "sha256", value: delegateSha256 },
    ],
  };
  return {
    version: 0,
    methods: [
      ...byName(methods).map(({ name, inputs, outputs }) => delegateMethod(name, inputs, outputs, table)),
      ...byName(Object.entries(constantMethods).map(([name, value]) => ({ name, value }))).map(
        ({ name, value }) => constantMethod(name, value),
      ),
    ],
    segments: [...segments, { offset: delegateSegment.offset, size: delegateSegment.size }],
    // The runtime wants it even of a program without constants; entry 0 is reserved.
    constantSegment: { segment: 0, offsets: [0] },
    mutableSegments: [],
    namedData: namedData.map(({ key }, i) => ({ key, segment: placed[i]!.segment })),
  };
}

const byName = <T extends { readonly name: string }>(items: readonly T[]): readonly T[] =>
  [...items].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

/** Writes segments one behind the other, holding a chunk at a time. */
class SegmentWriter {
  readonly segments: Segment[] = [];
  readonly #byHash = new Map<string, number>();
  readonly #sink: Sink;
  readonly #base: number;
  #end = 0;

  constructor(sink: Sink, base: number) {
    this.#sink = sink;
    this.#base = base;
  }

  /** The hash is known when the blob is written: the next one then overwrites a blob that was there already. */
  async write(blob: NamedBlob): Promise<{ readonly segment: number; readonly sha256: string }> {
    const offset = await this.#pad();
    const hash = hasher();
    let written = 0;
    for await (const chunk of blob.stream()) {
      hash.update(chunk);
      await this.#sink.write(this.#base + offset + written, chunk);
      written += chunk.length;
    }
    if (written !== blob.size)
      throw new Error(`${blob.key} should have had ${blob.size} bytes and had ${written}`);
    const sha256 = hash.digest();
    const same = this.#byHash.get(sha256);
    if (same !== undefined) return { segment: same, sha256 };
    const segment = this.segments.push({ offset, size: written }) - 1;
    this.#byHash.set(sha256, segment);
    this.#end = offset + written;
    return { segment, sha256 };
  }

  /** Writes a segment of its own. */
  async append(bytes: Uint8Array): Promise<Segment & { readonly sha256: string }> {
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
