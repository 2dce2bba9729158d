import { bytesToHex } from "@noble/hashes/utils.js";
import { BitnetcError, diagnostics } from "../errors.ts";
import type { ProgramGraph } from "../runtime/graph.ts";
import type { Source } from "../tensor/source.ts";
import { type BlobEntry, readBlob, readRange, verifyBlob } from "./blob.ts";
import { delegateId, readDelegate } from "./delegate.ts";
import { type ProgramDelegate, type ProgramFile, readProgram } from "./program-reader.ts";

/** A program of bitnetc's own, ready to be run. */
export interface OpenProgram {
  readonly file: ProgramFile;
  readonly graph: ProgramGraph;
  /** All named data. */
  readonly blobs: ReadonlyMap<string, BlobEntry>;
  /**
   * Named data, read anew at each call and checked against its SHA-256.
   * @throws BitnetcError `program-hash`; Error for a key that is not among `blobs`
   */
  blob(key: string): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Reads a program's head and the graph of the method `method`. Weights are read when they are asked for.
 * @throws BitnetcError as `readProgram` and `readDelegate` do; `program-backend` for a program of another backend
 */
export async function openProgram(source: Source, method = "forward"): Promise<OpenProgram> {
  const file = await readProgram(source);
  const delegate = file.delegates.find(
    (candidate) => candidate.id === delegateId && candidate.method === method,
  );
  if (delegate === undefined) {
    const backends = new Set(file.delegates.map(({ id }) => id));
    throw new BitnetcError(diagnostics.programBackend(source.name, [...backends]));
  }
  return openDelegate(file, delegate);
}

/**
 * Reads the graph of one delegate of bitnetc's own.
 * @throws BitnetcError as `readDelegate` does; `program-hash` when it is not what was written
 */
export async function openDelegate(file: ProgramFile, delegate: ProgramDelegate): Promise<OpenProgram> {
  const { source } = file;
  const bytes = await readRange(source.name, delegate.data);
  const sha256 = bytesToHex(delegate.specs.get("sha256") ?? new Uint8Array());
  await verifyBlob(source.name, bytes, { key: delegateId, size: bytes.length, sha256 });
  const contents = readDelegate(bytes, source.name);
  const blobs = new Map(contents.blobs.map((entry) => [entry.key, entry]));
  checkNamedData(file, contents.blobs);
  return {
    file,
    graph: contents.graph,
    blobs,
    blob: async (key) => {
      const entry = blobs.get(key);
      if (entry === undefined) throw new Error(`the program has no data ${key}`);
      return readBlob(source.name, file.namedData.get(key)!, entry);
    },
  };
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
