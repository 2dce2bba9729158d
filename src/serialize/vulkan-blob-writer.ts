import { alignUp } from "../tensor/align.ts";
import { headerMagic, headerSize } from "./vulkan-blob.ts";
import { encodeVulkanGraph } from "./vulkan-encoder.ts";
import type { VulkanGraph } from "./vulkan-graph.ts";

/** Of the graph and of what follows it. */
const alignment = 16;

/**
 * The blob of a Vulkan delegate: its header (see `VulkanHeader`), then the graph. It holds no bytes of constants.
 * @param graph whose constants are all named data of the program
 */
export function writeVulkanBlob(graph: VulkanGraph): Uint8Array<ArrayBuffer> {
  if (graph.constants.some((constant) => !("key" in constant)))
    throw new Error("a constant of the graph is no named data");
  const flatbuffer = encodeVulkanGraph(graph);
  const start = alignUp(headerSize, alignment);
  const end = alignUp(start + flatbuffer.length, alignment);
  const blob = new Uint8Array(end);
  const view = new DataView(blob.buffer);
  blob.set(new TextEncoder().encode(headerMagic), 4);
  view.setUint16(8, headerSize, true);
  view.setUint32(10, start, true);
  view.setUint32(14, flatbuffer.length, true);
  // Where constants would begin is the end: for a size of 0, ExecuTorch takes all that is left.
  view.setUint32(18, end, true);
  blob.set(flatbuffer, start);
  return blob;
}
