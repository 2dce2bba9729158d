import * as diagnostics from "../../../diagnostics.ts";
import { BitnetcError } from "../../../errors.ts";
import { readBlob, type Segment, sha256Of } from "../../../serialize/blob.ts";
import type { OpenProgram } from "../../../serialize/open-program.ts";
import type { ProgramFile } from "../../../serialize/program-reader.ts";
import { readVulkanBlob, type VulkanBlob, vulkanId } from "../../../serialize/vulkan-blob.ts";
import { hexOf } from "../../../tensor/hex.ts";
import { type LoadedGraph, loadGraph } from "./load-graph.ts";
import { type GraphFaults, type ResolvedGraph, resolveGraph } from "./resolve-graph.ts";

/** One of a method's delegates. */
export interface Delegate {
  /** What errors call it. */
  readonly name: string;
  readonly header: VulkanBlob["header"];
  readonly resolved: ResolvedGraph;
  readonly faults: GraphFaults;
  readonly data: Segment;
  /** What the program calls `data`. */
  readonly key: string;
  /** The SHA-256 of `data` and of what it needs, where the program has them, by key. */
  readonly hashes: ReadonlyMap<string, string>;
}

/**
 * Reads the graphs of a method's delegates, in their order.
 * @throws BitnetcError `program-backend` for a delegate that is not Vulkan's, `program-hash`, `vulkan-corrupt`
 */
export async function readDelegates(file: ProgramFile, method: string): Promise<readonly Delegate[]> {
  const { source, namedData } = file;
  const delegates = file.delegates.filter((each) => each.method === method);
  const others = delegates.map(({ id }) => id).filter((id) => id !== vulkanId);
  if (others.length > 0)
    throw new BitnetcError(diagnostics.programBackend(source.name, [...new Set(others)]));
  return Promise.all(
    delegates.map(async ({ data, specs }, i) => {
      const name = `delegate ${i} of ${method}`;
      const hash = specs.get("sha256");
      const sha256 = hash && hexOf(hash);
      if (sha256 !== undefined) await readBlob(source.name, data, { key: name, size: data.size, sha256 });
      const { header, graph } = await readVulkanBlob(data, `${source.name}: ${name}`);
      const { resolved, faults } = resolveGraph(graph, name);
      const { missing, malformed } = faults;
      const absent = graph.constants.flatMap((constant) => {
        if (!("key" in constant)) return [];
        const have = namedData.get(constant.key)?.size;
        if (have !== undefined && have >= constant.length) return [];
        return [
          `${name} needs ${constant.length} bytes of data ${constant.key}, which has ${have ?? "none"}`,
        ];
      });
      const all = { missing, malformed: [...malformed, ...absent] };
      const hashes = new Map<string, string>();
      if (sha256 !== undefined) {
        hashes.set(name, sha256);
        // Who writes the hash of a delegate names its constants by theirs.
        for (const constant of graph.constants)
          if ("key" in constant && isSha256(constant.key)) hashes.set(constant.key, constant.key);
      }
      return { name, header, resolved, faults: all, data, key: name, hashes };
    }),
  );
}

const isSha256 = (key: string): boolean => /^[0-9a-f]{64}$/.test(key);

/**
 * Delegates with their constants in memory.
 * @returns them, and hashes of what they were made of
 * @throws BitnetcError `program-hash`, `program-corrupt`
 */
export async function loadDelegates(
  delegates: readonly Delegate[],
  program: OpenProgram,
): Promise<{ readonly loaded: readonly LoadedGraph[]; readonly hashes: readonly string[] }> {
  const hashes: string[] = [];
  const expected = new Map(delegates.flatMap((each) => [...each.hashes]));
  const known = new Map<string, Uint8Array<ArrayBuffer>>();
  const read = async (key: string): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = known.get(key) ?? (await program.blob(key));
    if (!known.has(key)) hashes.push(expected.get(key) ?? (await sha256Of(bytes)));
    known.set(key, bytes);
    return bytes;
  };
  const loaded: LoadedGraph[] = [];
  for (const { name, resolved, header, key } of delegates) {
    const blob = await read(key);
    const constantAt = async (index: number): Promise<Uint8Array> => {
      const constant = resolved.graph.constants[index]!;
      return "key" in constant ? read(constant.key) : blob.subarray(header.constantsOffset + constant.offset);
    };
    try {
      loaded.push(await loadGraph(resolved, constantAt));
    } catch (error) {
      // A cache may be said to have any size.
      if (!(error instanceof RangeError)) throw error;
      const why = `there is no room for what ${name} keeps: ${error.message}`;
      throw new BitnetcError(diagnostics.programCorrupt(program.file.source.name, why), { cause: error });
    }
  }
  return { loaded, hashes };
}
