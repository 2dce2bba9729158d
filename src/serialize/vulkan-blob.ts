import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { ByteRange } from "../tensor/source.ts";
import { decodeFlatbuffer, refuseCorrupt } from "./checked-buffer.ts";
import { type FlatbufferJson, flatbufferJson } from "./flatbuffer-json.ts";
import { schema } from "./generated/schema/vulkan.ts";
import { identifierOf, sizeOf } from "./header.ts";
import { decodeVulkanGraph } from "./vulkan-decoder.ts";
import type { VulkanGraph } from "./vulkan-graph.ts";

/** The name under which ExecuTorch's Vulkan and WebGPU backends find their delegate. */
export const vulkanId = "VulkanBackend";

/**
 * What stands in front of the graph in the delegate's blob. Little-endian:
 *
 *     4  "VH00"
 *     8  u16 length of this header, 30
 *    10  u32 where the graph begins
 *    14  u32 bytes of the graph
 *    18  u32 where the bytes of constants begin
 *    22  u64 how many there are
 */
export interface VulkanHeader {
  readonly graphOffset: number;
  readonly graphSize: number;
  readonly constantsOffset: number;
  readonly constantsSize: number;
}

export interface VulkanBlob {
  readonly header: VulkanHeader;
  readonly graph: VulkanGraph;
  /** The graph's tables as flatc prints them. */
  readonly tables: FlatbufferJson;
}

export const headerSize = 30;
export const headerMagic = "VH00";

/**
 * Reads the blob of a Vulkan delegate, all but the bytes of its constants.
 * @param at what errors call it
 * @throws BitnetcError `vulkan-corrupt` for what Vulkan's own writer did not write
 */
export async function readVulkanBlob(blob: ByteRange, at: string): Promise<VulkanBlob> {
  const lead = await blob.read(0, Math.min(headerSize, blob.size));
  const header = refuseCorrupt(at, () => readVulkanHeader(lead, blob.size), diagnostics.vulkanCorrupt);
  const { graphOffset, graphSize, constantsSize } = header;
  const bytes = await blob.read(graphOffset, graphOffset + graphSize);
  if (bytes.length < graphSize)
    throw new BitnetcError(diagnostics.vulkanCorrupt(at, "its graph is cut short"));
  return decodeFlatbuffer(
    at,
    bytes,
    (buffer) => {
      if (identifierOf(bytes) !== "VK00") throw new RangeError('its graph is not marked "VK00"');
      return {
        header,
        graph: decodeVulkanGraph(buffer, constantsSize),
        tables: flatbufferJson(buffer, schema),
      };
    },
    diagnostics.vulkanCorrupt,
  );
}

function readVulkanHeader(lead: Uint8Array, size: number): VulkanHeader {
  if (lead.length < headerSize) throw new RangeError(`it has ${lead.length} bytes, too few for a header`);
  const magic = String.fromCharCode(...lead.subarray(4, 8));
  if (magic !== headerMagic)
    throw new RangeError(`it is marked ${JSON.stringify(magic)}, not "${headerMagic}"`);
  const view = new DataView(lead.buffer, lead.byteOffset, lead.byteLength);
  const length = view.getUint16(8, true);
  const header = {
    graphOffset: view.getUint32(10, true),
    graphSize: view.getUint32(14, true),
    constantsOffset: view.getUint32(18, true),
    constantsSize: sizeOf(view.getBigUint64(22, true)),
  };
  const { graphOffset, graphSize, constantsOffset, constantsSize } = header;
  if (length < headerSize || graphOffset < length)
    throw new RangeError(`its header of ${length} bytes puts the graph at ${graphOffset}`);
  const ends = [graphOffset + graphSize, constantsOffset + constantsSize];
  if (graphSize === 0 || constantsOffset < graphOffset + graphSize || Math.max(...ends) > size)
    throw new RangeError(
      `its header puts ${graphSize} bytes of graph at ${graphOffset} and ${constantsSize} of constants at ${constantsOffset}, of ${size}`,
    );
  return header;
}
