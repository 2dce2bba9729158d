import type { Kernel, KernelTable, OpSignature } from "../../../ir/ops/op.ts";
import type { CoreOps } from "../../../ir/ops/signatures.ts";
import { bitnetKernels } from "./bitnet.ts";
import { elementwiseKernels } from "./elementwise.ts";
import { indexingKernels } from "./indexing.ts";
import { movementKernels } from "./movement.ts";
import { neuralKernels } from "./neural.ts";
import { reductionKernels } from "./reduction.ts";

/** A kernel for every op of the core, or it does not compile. */
const cpuKernels: KernelTable<CoreOps> = {
  ...elementwiseKernels,
  ...reductionKernels,
  ...movementKernels,
  ...indexingKernels,
  ...neuralKernels,
  ...bitnetKernels,
};

/** The same by name, for graphs that name their ops. */
export const cpuKernelsByName: ReadonlyMap<string, Kernel<OpSignature>> = new Map(
  Object.entries(cpuKernels) as unknown as [string, Kernel<OpSignature>][],
);
