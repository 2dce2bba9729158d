import * as diagnostics from "../../diagnostics.ts";
import type { Graph, Node, Value } from "../../ir/graph.ts";
import { q4Parts } from "../../ir/q4.ts";
import type { DelegateTable } from "../../serialize/program.ts";
import { vulkanId } from "../../serialize/vulkan-blob.ts";
import { writeVulkanBlob } from "../../serialize/vulkan-blob-writer.ts";
import { isSymbolic } from "../../tensor/dim.ts";
import { elementCount } from "../../tensor/tensor.ts";
import type { Backend } from "../backend.ts";
import { countOf } from "../partition-report.ts";
import { emitKernels } from "../portable/backend.ts";
import { lowerToKernels, portableRefusals } from "../portable/lower.ts";
import { toMethod } from "../portable/method.ts";
import { constantSegment } from "../portable/segment.ts";
import { weightBytes } from "../program-contents.ts";
import { callBounds, mostTokens, reportUnbounded } from "../sizes.ts";
import { delegateData } from "./data.ts";
import { toVulkanGraph } from "./graph.ts";
import { lowerPartition } from "./lower.ts";
import { type Partition, partitionGraph } from "./partition.ts";

/**
 * Delegates for the backends of ExecuTorch that run on GPUs, Vulkan's and that for WebGPU, which read the same graphs.
 * What they cannot compute is left to kernels that every ExecuTorch runtime has.
 */
export const vulkan: Backend = {
  packsTernary: false,
  narrowsFloats: false,
  embeddings: ["auto", "f32", "q4"],
  customOps: ["none"],
  partition(graph, { report }) {
    reportUnbounded(graph, report);
    const bounds = callBounds(graph, mostTokensOf(graph));
    const partition = partitionGraph(graph, bounds);
    const outside = partition.stretches
      .filter(({ isDelegated }) => !isDelegated)
      .flatMap(({ units }) => units.flatMap(({ nodes }) => nodes));
    const impossible = portableRefusals(graph, outside);
    if (impossible.length > 0) report(diagnostics.notPortable(impossible));
    else if (partition.refusals.length > 0) report(diagnostics.nodesOutside(partition.refusals));
    return {
      report: { groups: countPlaces(partition), refused: partition.refusals },
      storedBytes: (constant) => storedBytes(constant, outside),
      emit(compiled, sink) {
        const { steps, delegates } = lowerPartition(graph, partition, bounds);
        const kernels = lowerToKernels(graph, "none", steps, bounds);
        const tables = delegates.map((_, index) => ({ ...delegateTable, index }));
        const { method, constants, constantOffsets } = toMethod("forward", kernels, tables);
        const data = delegateData(delegates, constants);
        const contents = {
          methods: [method],
          constants: { blob: constantSegment(constants), offsets: constantOffsets },
          data: [...data.values()],
          delegates: delegates.map((calls) => ({
            build: (keyOf: (key: string) => string) =>
              writeVulkanBlob(
                toVulkanGraph(calls, (key) => ({ key: keyOf(key), length: data.get(key)!.size })),
              ),
          })),
        };
        return emitKernels(graph, kernels, contents, compiled, sink);
      },
    };
  },
};

/** What every device lets one op compute, element by element: 65,535 workgroups of 64 (Vulkan's required limits). */
const mostElements = 65_535 * 64;

/** Tokens of one call, at most: the widest tensor is to be one that every device can compute. */
function mostTokensOf({ nodes }: Graph): number {
  const widths = nodes.flatMap(({ results }) =>
    results
      .filter(({ type }) => type.shape.some(isSymbolic))
      .map(({ type }) =>
        type.shape.reduce<number>((width, size) => (isSymbolic(size) ? width : width * size), 1),
      ),
  );
  return Math.max(1, Math.min(mostTokens, Math.floor(mostElements / Math.max(1, ...widths))));
}

const delegateTable: DelegateTable = {
  id: vulkanId,
  location: "SEGMENT",
  index: 0,
  specs: [],
};

/** Of a weight that delegates alone use: ternary codes and those of q4 take four bits, and floats are f32. */
function storedBytes({ def, users }: Value, outside: readonly Node[]): number | undefined {
  if (def.kind !== "const" || outside.some((node) => users.has(node))) return undefined;
  const { data } = def;
  const count = elementCount(data.shape);
  const quantized = q4Parts(data);
  // Embedding and head have the scales in another order each.
  if (quantized !== undefined) return count / 2 + users.size * weightBytes(quantized.scales);
  return data.dtype === "i8" ? count / 2 : 4 * count;
}

/** How many nodes run where. */
function countPlaces({ stretches }: Partition): Readonly<Record<string, number>> {
  const delegates = stretches.filter(({ isDelegated }) => isDelegated);
  return countOf(
    stretches.flatMap((stretch) => {
      const place = stretch.isDelegated ? `delegate ${delegates.indexOf(stretch)}` : "kernels";
      return stretch.units.flatMap(({ nodes }) => nodes.map(() => place));
    }),
  );
}
