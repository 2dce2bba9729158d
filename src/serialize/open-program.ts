import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { Executor } from "../runtime/executor.ts";
import type { ProgramGraph } from "../runtime/graph.ts";
import type { Plan } from "../runtime/webgpu/plan.ts";
import { hexOf } from "../tensor/hex.ts";
import type { Source } from "../tensor/source.ts";
import { type BlobEntry, type ChunkCache, chunksOf, readBlob, sha256Of } from "./blob.ts";
import { delegateId, readDelegate } from "./delegate.ts";
import { headSpec } from "./header.ts";
import { type ProgramDelegate, type ProgramFile, readProgram } from "./program-reader.ts";

/** A program that is ready to be run. */
export interface OpenProgram {
  readonly file: ProgramFile;
  readonly graph: ProgramGraph;
  /** Of the delegate, or the head where there is none, in hexadecimal: it tells programs apart. */
  readonly sha256: string;
  /** How a GPU runs the graph. Absent in programs of older versions, and where no plan could be made. */
  readonly plan?: Plan;
  /** All named data, and whatever else the graph needs. */
  readonly blobs: ReadonlyMap<string, Pick<BlobEntry, "key" | "size">>;
  /**
   * Named data in order, read anew at each call, in pieces that are checked against their SHA-256, where the program
   * has one, before they are given out.
   * @throws BitnetcError `program-hash`; Error for a key that is not among `blobs`
   */
  chunks(key: string): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;
  /** All of named data, checked likewise. */
  blob(key: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Makes ready to run what is no graph of bitnetc's own, with what `program` gives of it.
   * @throws BitnetcError when it is damaged
   */
  readonly execute?: (program: OpenProgram) => Promise<Executor>;
}

/** One of bitnetc's own, which has a SHA-256 of all that it needs. */
export interface OwnProgram extends OpenProgram {
  readonly blobs: ReadonlyMap<string, BlobEntry>;
}

export interface ReadOptions {
  /** `forward` when left out. */
  readonly method?: string | undefined;
  readonly cache?: ChunkCache | undefined;
  /** Opens a method that has no delegate of bitnetc's own. */
  readonly undelegated?: OpenUndelegated | undefined;
}

/** Opens a method that has no delegate of bitnetc's own, or refuses those that it has. */
export type OpenUndelegated = (file: ProgramFile, method: string) => Promise<OpenProgram>;

/**
 * Reads a program's head and the graph of a method. Named data is read when it is asked for.
 * @throws BitnetcError as `openDelegate` does; `program-backend` for a program of another backend, or as
 * `undelegated` does
 */
export async function openProgram(
  source: Source,
  { method = "forward", cache, undelegated }: ReadOptions = {},
): Promise<OpenProgram> {
  const file = await readProgram(source);
  const delegate = file.delegates.find(
    (candidate) => candidate.id === delegateId && candidate.method === method,
  );
  if (delegate !== undefined) return openDelegate(file, delegate, cache);
  await isHeadIntact(file);
  if (undelegated) return undelegated(file, method);
  const backends = new Set(file.delegates.map(({ id }) => id));
  throw new BitnetcError(diagnostics.programBackend(source.name, [...backends]));
}

/**
 * Reads the graph of one delegate of bitnetc's own.
 * @throws BitnetcError as `readDelegate` does; `program-hash` when it, or the program's head, is not what was written
 */
export async function openDelegate(
  file: ProgramFile,
  { data, specs }: ProgramDelegate,
  cache?: ChunkCache,
): Promise<OwnProgram> {
  const { source, namedData } = file;
  const { name } = source;
  const isIntact = await isHeadIntact(file);
  const hash = specs.get("sha256");
  const headDamaged = new BitnetcError(diagnostics.programHash(name, headName));
  if (hash === undefined) throw headDamaged;
  const sha256 = hexOf(hash);
  const bytes = await readBlob(name, data, { key: delegateId, size: data.size, sha256 }, cache);
  const { version, graph, plan, blobs: entries } = readDelegate(bytes, name);
  // The hash itself is in the head, and damage may have made it something else.
  if (!isIntact && version >= headHashed) throw headDamaged;
  checkNamedData(file, entries);
  const blobs = new Map(entries.map((entry) => [entry.key, entry]));
  const entryOf = (key: string): BlobEntry => {
    const entry = blobs.get(key);
    if (entry === undefined) throw new Error(`the program has no data ${key}`);
    return entry;
  };
  return {
    file,
    graph,
    sha256,
    ...(plan && { plan }),
    blobs,
    chunks: (key) => chunksOf(name, namedData.get(key)!, entryOf(key), cache),
    blob: async (key) => readBlob(name, namedData.get(key)!, entryOf(key), cache),
  };
}

/** What errors call all that is in front of the first segment. */
const headName = "program head";
/** Since this version of the delegate there is one. */
const headHashed = 2;

/**
 * Whether the head has a SHA-256, which then is the right one, and the file ends with its last segment.
 * @throws BitnetcError `program-hash`, `program-corrupt`
 */
async function isHeadIntact({ source, front, header, delegates }: ProgramFile): Promise<boolean> {
  const hashes = delegates.flatMap(({ specs }) => specs.get(headSpec) ?? []);
  if (hashes.length === 0) return false;
  const zeroed = new Uint8Array(front);
  for (const { byteOffset, length } of hashes) {
    const from = byteOffset - front.byteOffset;
    zeroed.fill(0, from, from + length);
  }
  const sha256 = await sha256Of(zeroed);
  if (hashes.some((hash) => hexOf(hash) !== sha256))
    throw new BitnetcError(diagnostics.programHash(source.name, headName));
  const end = front.length + (header?.segmentDataSize ?? 0);
  if (source.size !== end) {
    const detail = `${source.size - end} bytes follow its end`;
    throw new BitnetcError(diagnostics.programCorrupt(source.name, detail));
  }
  return true;
}

/** Whether what the graph expects is there, before anything runs. */
function checkNamedData({ source, namedData }: ProgramFile, expected: readonly BlobEntry[]): void {
  const faults = expected.flatMap(({ key, size }) => {
    const have = namedData.get(key)?.size;
    if (have === size) return [];
    return [`its data ${key} has ${have ?? "no"} bytes and should have ${size}`];
  });
  if (faults.length > 0)
    throw new BitnetcError(faults.map((fault) => diagnostics.programCorrupt(source.name, fault)));
}
