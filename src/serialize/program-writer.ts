import { hexOf } from "../tensor/hex.ts";
import type { BlobEntry } from "./blob.ts";
import type { ConstantRange } from "./constant-ranges.ts";
import { headSpec } from "./header.ts";
import { type ConstantValue, constantMethod, delegateMethod, type TensorMeta } from "./methods.ts";
import type { DelegateTable, ProgramMethod, ProgramTables } from "./program.ts";
import { type PlacedData, type WrittenProgram, writeParts } from "./program-parts.ts";
import { bytesBlob, type NamedBlob, type PlacedBlob } from "./segment-writer.ts";
import type { Sink } from "./sink.ts";

export { bytesBlob, type ConstantRange, type NamedBlob, type WrittenProgram };

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

/** What goes into a program whose methods call kernels, and delegates that ExecuTorch has. */
export interface KernelProgramContents extends CommonContents {
  /** The `index` of a delegate's table is one of `delegates` here: in the file, that of its segment. */
  readonly methods: readonly ProgramMethod[];
  /** All constant tensors; `offsets` says where in it each begins, entry 0 being reserved. */
  readonly constants: { readonly blob: NamedBlob; readonly offsets: readonly number[] };
  /** What delegates need. The file calls it by its SHA-256 in hexadecimal, so that equal data is one. */
  readonly data?: readonly (NamedBlob | ConstantRange)[];
  readonly delegates?: readonly KernelDelegate[];
}

export interface KernelDelegate {
  /**
   * Makes the delegate's blob, when all data is written.
   * @param keyOf what the file calls the data with a key in `data`
   */
  build(keyOf: (key: string) => string): Uint8Array;
}

/** Writes a program file with one delegate. What is written depends on `contents` only. */
export async function writeProgram(contents: ProgramContents, sink: Sink): Promise<WrittenProgram> {
  const { methods, constantMethods, namedData, delegate } = contents;
  checkKeys(namedData);
  const plans = (table: DelegateTable): readonly ProgramMethod[] => [
    ...byName(methods).map(({ name, inputs, outputs }) => delegateMethod(name, inputs, outputs, table)),
    ...constantPlans(constantMethods),
  ];
  return writeParts(
    {
      blobs: namedData,
      ranges: [],
      delegates: [({ blobs }) => delegate.build(blobs.map(({ entry }) => entry))],
      tables: ({ segments, blobs, delegates: [placed] }, headSha256) => ({
        version: 0,
        methods: plans({
          id: delegate.id,
          location: "SEGMENT",
          index: placed!.segment,
          specs: [
            { key: "format", value: hexOf(new TextEncoder().encode(delegate.format)) },
            ...hashSpecs(placed!.entry.sha256, headSha256),
          ],
        }),
        segments,
        // The runtime wants it even of a program without constants; entry 0 is reserved.
        constantSegment: { segment: 0, offsets: [0] },
        mutableSegments: [],
        namedData: byOwnKeys(blobs),
      }),
    },
    sink,
  );
}

/**
 * Writes a program file with a constant segment. Equal delegates are one segment, and a range of the constants is a
 * segment within theirs. What is written depends on `contents` only.
 */
export async function writeKernelProgram(
  contents: KernelProgramContents,
  sink: Sink,
): Promise<WrittenProgram> {
  const { methods, constantMethods, namedData, constants, data = [], delegates = [] } = contents;
  checkKeys(namedData);
  checkKeys(data);
  const own = data.filter((part) => "stream" in part);
  const ranges = data.filter((part) => "offset" in part);
  const textsEnd = 1 + namedData.length;
  const dataOf = ({ blobs, ranges }: PlacedData): readonly PlacedBlob[] => [
    ...ranges,
    ...blobs.slice(textsEnd),
  ];
  return writeParts(
    {
      blobs: [constants.blob, ...namedData, ...own],
      ranges,
      delegates: delegates.map(({ build }) => (placed) => {
        const keys = new Map(dataOf(placed).map(({ entry: { key, sha256 } }) => [key, sha256]));
        return build((key) => {
          const name = keys.get(key);
          if (name === undefined) throw new Error(`a delegate names ${key}, and there is no such data`);
          return name;
        });
      }),
      tables: (placed, headSha256) => ({
        version: 0,
        methods: [
          ...byName(methods).map((method) => ({
            ...method,
            delegates: method.delegates.map((delegate) => {
              const { segment, entry } = placed.delegates[delegate.index]!;
              return {
                ...delegate,
                index: segment,
                specs: [...delegate.specs, ...hashSpecs(entry.sha256, headSha256)],
              };
            }),
          })),
          ...constantPlans(constantMethods),
        ],
        segments: placed.segments,
        constantSegment: { segment: 0, offsets: constants.offsets },
        mutableSegments: [],
        namedData: [...byOwnKeys(placed.blobs.slice(1, textsEnd)), ...byContents(dataOf(placed))],
      }),
    },
    sink,
  );
}

/** With which a reader can tell that a delegate's blob and the head are what was written. */
const hashSpecs = (sha256: string, headSha256: string): DelegateTable["specs"] => [
  { key: "sha256", value: sha256 },
  { key: headSpec, value: headSha256 },
];

type NamedData = ProgramTables["namedData"];

const byOwnKeys = (blobs: readonly PlacedBlob[]): NamedData =>
  blobs.map(({ entry: { key }, segment }) => ({ key, segment }));

const byContents = (data: readonly PlacedBlob[]): NamedData =>
  [...new Map(data.map(({ entry: { sha256 }, segment }) => [sha256, segment]))].map(([key, segment]) => ({
    key,
    segment,
  }));

function checkKeys(blobs: readonly { readonly key: string }[]): void {
  const keys = new Set<string>();
  for (const { key } of blobs) {
    if (keys.has(key)) throw new Error(`two blobs have the key ${key}`);
    keys.add(key);
  }
}

const constantPlans = (constants: ProgramContents["constantMethods"]): readonly ProgramMethod[] =>
  byName(Object.entries(constants).map(([name, value]) => ({ name, value }))).map(({ name, value }) =>
    constantMethod(name, value),
  );

const byName = <T extends { readonly name: string }>(items: readonly T[]): readonly T[] =>
  [...items].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
