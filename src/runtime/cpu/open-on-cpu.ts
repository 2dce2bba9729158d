import type { Kernel, OpSignature } from "../../ir/ops/op.ts";
import type { OpenProgram } from "../../serialize/open-program.ts";
import { isTernaryBlock } from "../../tensor/dtype.ts";
import { decodeElements, elementCount, type Tensor } from "../../tensor/tensor.ts";
import { type Executor, takesTurns } from "../executor.ts";
import { type CpuExecutor, createCpuExecutor } from "./executor.ts";
import { cpuKernelsByName } from "./kernels/index.ts";

/** By op name. */
export type AddedKernels = Readonly<Record<string, (args: never, attrs: never) => readonly Tensor[]>>;

/** Loads a program's weights into memory. @throws BitnetcError for ops without a kernel, and damaged weights */
export async function openOnCpu(program: OpenProgram, kernels: AddedKernels = {}): Promise<Executor> {
  const { graph } = program;
  const types = new Map(
    graph.constants.flatMap((c) => ("key" in c ? [[c.key, graph.values[c.value]!]] : [])),
  );
  const loadConstant = async (key: string): Promise<Tensor> => {
    const { dtype, shape } = types.get(key)!;
    const bytes = await program.blob(key);
    const sizes = shape.map(Number);
    const count = isTernaryBlock(dtype) ? bytes.byteLength : elementCount(sizes);
    return { dtype, shape: sizes, data: decodeElements(dtype, bytes, count) };
  };
  const added = Object.entries(kernels) as [string, Kernel<OpSignature>][];
  let executor: CpuExecutor | undefined = await createCpuExecutor(graph, {
    loadConstant,
    kernels: new Map([...cpuKernelsByName, ...added]),
  });
  return {
    device: "cpu",
    run: takesTurns((inputs) => executor!.run(inputs)),
    readState: async (name, length) => executor!.readState(name, length),
    writeState: async (name, rows) => executor!.writeState(name, rows),
    reset: () => executor!.reset(),
    dispose: () => {
      executor = undefined;
    },
  };
}
