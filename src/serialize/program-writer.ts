import { hexOf } from "../tensor/hex.ts";
import { type BlobEntry, sha256Of } from "./blob.ts";
import { headSpec, insertHeader } from "./header.ts";
import { type ConstantValue, constantMethod, delegateMethod, type TensorMeta } from "./methods.ts";
import type { DelegateTable, ProgramMethod, ProgramTables } from "./program.ts";
import { encodeProgram } from "./program-encoder.ts";
import {
  align,
  type HashedSegment,
  type NamedBlob,
  SegmentWriter,
  type WrittenSegment,
} from "./segment-writer.ts";
import type { Sink } from "./sink.ts";

export type { NamedBlob };

interface CommonContents {
  /** By name. */
  readonly constantMethods: Readonly<Record<string, ConstantValue>>;
  readonly namedData: readonly NamedBlob[];
}

/** What goes into a program whose methods are one delegate's. */
export interface ProgramContents extends CommonContents {
  readonly methods: readonly {
    readonly name: string;
    readonly inputs: readonly TensorMeta[];
    readonly outputs: readonly TensorMeta[];
  }[];
  readonly delegate: {
    /** The backend's name in ExecuTorch's registry. */
    readonly id: string;
    /** What kind of blob it is, for readers: the identifier of its flatbuffer. */
    readonly format: string;
    /** Makes the delegate's blob, when all named data is written. */
    build(blobs: readonly BlobEntry[]): Uint8Array;
  };
}

/** What goes into a program whose methods call kernels. */
export interface KernelProgramContents extends CommonContents {
  readonly methods: readonly ProgramMethod[];
  /** All constant tensors; `offsets` says where in it each begins, entry 0 being reserved. */
  readonly constants: { readonly blob: NamedBlob; readonly offsets: readonly number[] };
}

export interface WrittenProgram {
  /** Bytes of the whole file. */
  readonly size: number;
  readonly blobs: readonly BlobEntry[];
  /** Bytes of named data that were not written because other named data has the same contents. */
  readonly sharedBytes: number;
}

/**
 * Writes a program file: extended header and flatbuffer, the named data, the delegate's blob. Each blob is a
 * segment; blobs of equal contents are one. What is written depends on `contents` only.
 *
 * The flatbuffer comes first in the file and is known last, so room for the largest that it can be is left.
 */
export async function writeProgram(contents: ProgramContents, sink: Sink): Promise<WrittenProgram> {
  checkKeys(contents.namedData);
  const distinct = contents.namedData.map(({ size }, segment) => ({ segment, offset: 0, size }));
  const longest = encodeProgram(describe(contents, distinct, notYet, noHash));
  const base = align(insertHeader(longest, 0, 0).length);

  const writer = new SegmentWriter(sink, base);
  const placed: PlacedBlob[] = [];
  const blobs: BlobEntry[] = [];
  for (const blob of contents.namedData) {
    const { segment, ...hashes } = await writer.write(blob);
    placed.push({ segment, ...writer.segments[segment]! });
    blobs.push({ key: blob.key, size: blob.size, ...hashes });
  }
  const bytes = contents.delegate.build(blobs);
  const delegate = await writer.append(bytes);

  const dataSize = delegate.offset + delegate.size;
  const frontWith = (headSha256: string): Uint8Array<ArrayBuffer> => {
    const front = new Uint8Array(base);
    const flatbuffer = encodeProgram(describe(contents, placed, delegate, headSha256));
    front.set(insertHeader(flatbuffer, base, dataSize));
    return front;
  };
  await sink.write(0, frontWith(await sha256Of(frontWith(noHash))));
  await sink.truncate(base + dataSize);
  const written = writer.segments.reduce((sum, { size }) => sum + size, 0) - bytes.length;
  return {
    size: base + dataSize,
    blobs,
    sharedBytes: blobs.reduce((sum, { size }) => sum + size, 0) - written,
  };
}

/**
 * Writes a program file without a delegate: extended header and flatbuffer, the constant segment, the named data. What
 * is written depends on `contents` only.
 */
export async function writeKernelProgram(
  contents: KernelProgramContents,
  sink: Sink,
): Promise<WrittenProgram> {
  const { methods, constantMethods, namedData, constants } = contents;
  checkKeys(namedData);
  const tables = (segments: readonly WrittenSegment[], places: readonly number[]): ProgramTables => ({
    version: 0,
    methods: [...byName(methods), ...constantPlans(constantMethods)],
    segments,
    constantSegment: { segment: 0, offsets: constants.offsets },
    mutableSegments: [],
    namedData: namedData.map(({ key }, i) => ({ key, segment: places[i]! })),
  });
  const all = [constants.blob, ...namedData];
  const longest = tables(
    all.map(({ size }) => ({ offset: 0, size })),
    namedData.map((_, i) => i + 1),
  );
  const base = align(insertHeader(encodeProgram(longest), 0, 0).length);
  const writer = new SegmentWriter(sink, base);
  const places: number[] = [];
  const blobs: BlobEntry[] = [];
  for (const blob of all) {
    const { segment, ...hashes } = await writer.write(blob);
    places.push(segment);
    blobs.push({ key: blob.key, size: blob.size, ...hashes });
  }
  const { offset, size } = writer.segments.at(-1)!;
  const dataSize = offset + size;
  const front = new Uint8Array(base);
  front.set(insertHeader(encodeProgram(tables(writer.segments, places.slice(1))), base, dataSize));
  await sink.write(0, front);
  await sink.truncate(base + dataSize);
  const written = writer.segments.reduce((sum, segment) => sum + segment.size, 0);
  return {
    size: base + dataSize,
    blobs,
    sharedBytes: blobs.reduce((sum, blob) => sum + blob.size, 0) - written,
  };
}

function checkKeys(blobs: readonly NamedBlob[]): void {
  const keys = new Set<string>();
  for (const { key } of blobs) {
    if (keys.has(key)) throw new Error(`two blobs have the key ${key}`);
    keys.add(key);
  }
}

/** What stands for a SHA-256 that is not known yet. */
const noHash = "0".repeat(64);

interface PlacedBlob extends WrittenSegment {
  readonly segment: number;
}

const notYet: HashedSegment = { offset: 0, size: 0, sha256: noHash };

/** The delegate's blob is the last segment. Methods are in the order of their names, constant ones last. */
function describe(
  { methods, constantMethods, namedData, delegate }: ProgramContents,
  placed: readonly PlacedBlob[],
  delegateSegment: HashedSegment,
  headSha256: string,
): ProgramTables {
  const segments: WrittenSegment[] = [];
  for (const { segment, offset, size } of placed) segments[segment] = { offset, size };
  const table: DelegateTable = {
    id: delegate.id,
    location: "SEGMENT",
    index: segments.length,
    specs: [
      { key: "format", value: hexOf(new TextEncoder().encode(delegate.format)) },
      { key: "sha256", value: delegateSegment.sha256 },
      { key: headSpec, value: headSha256 },
    ],
  };
  return {
    version: 0,
    methods: [
      ...byName(methods).map(({ name, inputs, outputs }) => delegateMethod(name, inputs, outputs, table)),
      ...constantPlans(constantMethods),
    ],
    segments: [...segments, { offset: delegateSegment.offset, size: delegateSegment.size }],
    // The runtime wants it even of a program without constants; entry 0 is reserved.
    constantSegment: { segment: 0, offsets: [0] },
    mutableSegments: [],
    namedData: namedData.map(({ key }, i) => ({ key, segment: placed[i]!.segment })),
  };
}

const constantPlans = (constants: ProgramContents["constantMethods"]): readonly ProgramMethod[] =>
  byName(Object.entries(constants).map(([name, value]) => ({ name, value }))).map(({ name, value }) =>
    constantMethod(name, value),
  );

const byName = <T extends { readonly name: string }>(items: readonly T[]): readonly T[] =>
  [...items].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
