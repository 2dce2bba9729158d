import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { byteLength, decodeElements, elementCount, encodeElements } from "../tensor/tensor.ts";
import type { Executor } from "./executor.ts";
import type { ProgramGraph } from "./graph.ts";

/*
 * A snapshot of a key-value cache:
 *
 *   8 bytes   "bitnetkv"
 *   u32       size of the header
 *   header    JSON in UTF-8: {"program": SHA-256 of the program's graph and weights, "ids": the tokens}
 *   rows      of each state in the graph's order, [1, H, number of ids, D], as files hold elements of its type
 *
 * Numbers are little-endian.
 */
const magic = "bitnetkv";
const leadSize = magic.length + 4;

/** The filled rows of every state, after `ids`. @param program what `restoreCache` must find again */
export async function saveCache(
  executor: Executor,
  graph: ProgramGraph,
  program: string,
  ids: readonly number[],
): Promise<Blob> {
  const header = new TextEncoder().encode(JSON.stringify({ program, ids }));
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, header.length, true);
  const parts: BlobPart[] = [magic, size, header];
  for (const { name } of graph.states) {
    const { dtype, data } = await executor.readState(name, ids.length);
    parts.push(encodeElements(dtype, data));
  }
  return new Blob(parts);
}

/** The tokens of a snapshot, and what puts its rows in the states. */
export interface Snapshot {
  readonly ids: readonly number[];
  write(executor: Executor): Promise<void>;
}

/** @throws BitnetcError `kv-snapshot` for what is no snapshot, damaged, or of another program */
export async function readSnapshot(blob: Blob, graph: ProgramGraph, program: string): Promise<Snapshot> {
  const bytes = async (from: number, size: number) =>
    new Uint8Array(await blob.slice(from, from + size).arrayBuffer());
  const lead = await bytes(0, leadSize);
  if (lead.length < leadSize || new TextDecoder().decode(lead.subarray(0, magic.length)) !== magic)
    throw refused("it is none");
  const headerSize = new DataView(lead.buffer).getUint32(magic.length, true);
  const header = parseHeader(await bytes(leadSize, headerSize));
  if (header.program !== program) throw refused("another program made it");
  const { ids } = header;
  const states = graph.states.map(({ name, value }) => {
    const { dtype, shape } = graph.values[value]!;
    const rows = shape.map((size, axis) => (axis === 2 ? ids.length : Number(size)));
    return { name, dtype, shape: rows, size: byteLength(dtype, elementCount(rows)) };
  });
  const start = leadSize + headerSize;
  const expected = states.reduce((sum, { size }) => sum + size, start);
  if (blob.size !== expected) throw refused(`it has ${blob.size} bytes and should have ${expected}`);
  return {
    ids,
    async write(executor) {
      let at = start;
      for (const { name, dtype, shape, size } of states) {
        const data = decodeElements(dtype, await bytes(at, size), elementCount(shape));
        await executor.writeState(name, { dtype, shape, data });
        at += size;
      }
    },
  };
}

function parseHeader(bytes: Uint8Array): { readonly program: unknown; readonly ids: readonly number[] } {
  try {
    const { program, ids } = JSON.parse(new TextDecoder().decode(bytes));
    if (Array.isArray(ids)) return { program, ids };
  } catch {}
  throw refused("its header cannot be read");
}

const refused = (why: string) => new BitnetcError(diagnostics.kvSnapshot(why));
