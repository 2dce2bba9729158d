import { lowerToKernels } from "../../src/backends/portable/lower.ts";
import { toMethod } from "../../src/backends/portable/method.ts";
import { constantSegment } from "../../src/backends/portable/segment.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { readWeight } from "../../src/ir/weights.ts";
import type { Options } from "../../src/options.ts";
import { toProgramGraph } from "../../src/passes/to-program-graph.ts";
import { createCpuExecutor } from "../../src/runtime/cpu/executor.ts";
import { openPortable } from "../../src/runtime/cpu/portable/open-portable.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { writeKernelProgram } from "../../src/serialize/program-writer.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

export type Inputs = Readonly<Record<string, Tensor>>;
type Run = (inputs: Inputs) => Promise<Record<string, Tensor>>;

/** A graph from its text, with all constants in it. */
export const graphOf = (text: string): Graph => parseGraph(text, coreOps, () => undefined);

/** A program whose method calls kernels and which has nothing else. */
export async function writePortable(
  graph: Graph,
  customOps: Options["customOps"] = "none",
): Promise<Uint8Array> {
  const sink = memorySink();
  const { method, constants, constantOffsets } = toMethod("forward", lowerToKernels(graph, customOps));
  await writeKernelProgram(
    {
      methods: [method],
      constantMethods: {},
      namedData: [],
      constants: { blob: constantSegment(constants), offsets: constantOffsets },
    },
    sink,
  );
  return sink.bytes();
}

/** The graph lowered, written, read back and run call by call. */
export async function runPortable(graph: Graph, customOps: Options["customOps"] = "none"): Promise<Run> {
  const file = await readProgram(bytesSource("test", await writePortable(graph, customOps)));
  const program = await openPortable(file, "forward");
  const executor = await program.execute!(program);
  return (inputs) => executor.run(inputs);
}

/** The graph run by the kernels of its own ops. */
export async function runReference(graph: Graph): Promise<Run> {
  const { graph: program, weights } = toProgramGraph(graph);
  const executor = await createCpuExecutor(program, {
    loadConstant: (key) => readWeight(weights.get(key)!),
  });
  return async (inputs) => executor.run(inputs);
}
