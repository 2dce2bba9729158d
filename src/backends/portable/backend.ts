import * as diagnostics from "../../diagnostics.ts";
import type { Graph } from "../../ir/graph.ts";
import { inputNamed } from "../../passes/decoder.ts";
import { capacityOf } from "../../passes/lengths.ts";
import {
  type KernelProgramContents,
  type WrittenProgram,
  writeKernelProgram,
} from "../../serialize/program-writer.ts";
import type { Sink } from "../../serialize/sink.ts";
import { maxOf } from "../../tensor/dim.ts";
import type { Backend, Compiled } from "../backend.ts";
import { runnerMethods, textBlobs } from "../program-contents.ts";
import { reportUnbounded } from "../sizes.ts";
import { lowerToKernels, portableRefusals } from "./lower.ts";
import { toMethod } from "./method.ts";
import { constantSegment } from "./segment.ts";
import type { PortableGraph } from "./value.ts";

/** No delegate: calls of the kernels that every ExecuTorch runtime has, and of custom ones where options allow them. */
export const portable: Backend = {
  packsTernary: false,
  narrowsFloats: true,
  embeddings: ["auto", "f16", "bf16", "f32", "q8"],
  customOps: ["none", "llama"],
  partition(graph, { options, report }) {
    reportUnbounded(graph, report);
    const refused = portableRefusals(graph);
    if (refused.length > 0) report(diagnostics.notPortable(refused));
    return {
      emit(compiled, sink) {
        const kernels = lowerToKernels(graph, options.customOps);
        const { method, constants, constantOffsets } = toMethod("forward", kernels);
        const contents = {
          methods: [method],
          constants: { blob: constantSegment(constants), offsets: constantOffsets },
        };
        return emitKernels(graph, kernels, contents, compiled, sink);
      },
    };
  },
};

/** Writes a program of calls, with what a language model's has beside them. */
export function emitKernels(
  graph: Graph,
  kernels: PortableGraph,
  contents: Omit<KernelProgramContents, "constantMethods" | "namedData">,
  compiled: Compiled,
  sink: Sink,
): Promise<WrittenProgram> {
  const tokens = kernels.inputs.find(({ name }) => name === "tokens")?.shape.at(-1);
  const isCustom = kernels.calls.some((call) => "op" in call && call.op === "llama::sdpa_with_kv_cache.out");
  return writeKernelProgram(
    {
      ...contents,
      constantMethods:
        tokens === undefined || inputNamed(graph, "tokens") === undefined
          ? {}
          : {
              ...runnerMethods(graph, compiled.info, capacityOf(graph), maxOf(tokens)),
              use_sdpa_with_kv_cache: isCustom,
            },
      namedData: textBlobs(compiled),
    },
    sink,
  );
}
