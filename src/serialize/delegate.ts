import type { ProgramGraph } from "../runtime/graph.ts";
import type { BlobEntry } from "./blob.ts";
import { graphFault } from "./check-graph.ts";
import { decodeFlatbuffer } from "./checked-buffer.ts";
import { decodeDelegate } from "./delegate-decoder.ts";
import { encodeDelegate } from "./delegate-encoder.ts";
import * as fb from "./generated/read/bitnetc.ts";

/** The name under which a runtime finds bitnetc's delegate. */
export const delegateId = "BitnetcBackend";
/** What kind of blob it has. */
export const delegateFormat = "BNC1";
/** Of the schema: a reader refuses what is newer. */
const version = 1;

/** What the delegate's blob holds (schemas/delegate.fbs). */
export interface DelegateContents {
  readonly graph: ProgramGraph;
  /** All named data of the program. */
  readonly blobs: readonly BlobEntry[];
}

/** @throws Error when the graph cannot be run: see `graphFault` */
export function writeDelegate(graph: ProgramGraph, blobs: readonly BlobEntry[]): Uint8Array {
  const fault = graphFault(graph, new Set(blobs.map(({ key }) => key)));
  if (fault !== undefined) throw new Error(`the graph cannot be written: ${fault}`);
  return encodeDelegate({ graph, blobs }, version);
}

/**
 * @param at what errors call the program
 * @throws BitnetcError `program-corrupt` for what no writer wrote, `program-version` for what a newer one did
 */
export function readDelegate(bytes: Uint8Array, at = "delegate"): DelegateContents {
  return decodeFlatbuffer(at, bytes, (buffer) => {
    if (bytes.length < 8 || !fb.Delegate.bufferHasIdentifier(buffer))
      throw new RangeError(`its delegate is not marked "${delegateFormat}"`);
    const contents = decodeDelegate(buffer, at, version);
    const fault = graphFault(contents.graph, new Set(contents.blobs.map(({ key }) => key)));
    if (fault !== undefined) throw new RangeError(fault);
    return contents;
  });
}
