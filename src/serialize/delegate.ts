import type { ProgramGraph } from "../runtime/graph.ts";
import type { Plan } from "../runtime/webgpu/plan.ts";
import type { BlobEntry } from "./blob.ts";
import { graphFault } from "./check-graph.ts";
import { decodeFlatbuffer } from "./checked-buffer.ts";
import { decodeDelegate } from "./delegate-decoder.ts";
import { identifierOf } from "./header.ts";

/** The name under which a runtime finds bitnetc's delegate. */
export const delegateId = "BitnetcBackend";
/** What kind of blob it has. */
export const delegateFormat = "BNC1";
/** Of the schema: a reader refuses what is newer. */
export const newest = 2;

/** What the delegate's blob holds (schemas/delegate.fbs). */
export interface DelegateContents {
  readonly graph: ProgramGraph;
  /** How a GPU runs the graph. */
  readonly plan?: Plan;
  /** All named data of the program. */
  readonly blobs: readonly BlobEntry[];
}

export interface ReadContents extends DelegateContents {
  readonly version: number;
}

/**
 * @param at what errors call the program
 * @throws BitnetcError `program-corrupt` for what no writer wrote, `program-version` for what a newer one did
 */
export function readDelegate(bytes: Uint8Array, at = "delegate"): ReadContents {
  return decodeFlatbuffer(at, bytes, (buffer) => {
    if (identifierOf(bytes) !== delegateFormat)
      throw new RangeError(`its delegate is not marked "${delegateFormat}"`);
    const contents = decodeDelegate(buffer, at, newest);
    const fault = graphFault(contents.graph, contents.blobs);
    if (fault !== undefined) throw new RangeError(fault);
    return contents;
  });
}
