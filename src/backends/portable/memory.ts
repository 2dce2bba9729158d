import { alignUp } from "../../tensor/align.ts";
import { maxOf } from "../../tensor/dim.ts";
import { byteLength, elementCount } from "../../tensor/tensor.ts";
import { Lifetimes, placeBySize } from "../arena.ts";
import type { ArgTypes, ComputedInt, PortableGraph, PortableTensor } from "./value.ts";

/** Of every tensor in a planned buffer, as ExecuTorch's own planner has it. */
export const tensorAlignment = 16;

/** Planned buffers are numbered from 1. */
const arenaBuffer = 1;
const stateBuffer = 2;

export interface MemoryPlan {
  /** Entry 0 is reserved. */
  readonly bufferSizes: readonly number[];
  place(tensor: PortableTensor): { readonly memory: number; readonly offset: number } | undefined;
}

/** Bytes at the largest size. */
const bytesOf = ({ dtype, shape }: PortableTensor): number =>
  byteLength(dtype, elementCount(shape.map(maxOf)));

/** States lie one behind the other in a buffer of their own, which nothing else is written to. */
export function planMemory(graph: PortableGraph): MemoryPlan {
  const states = new Map<string, number>();
  let stateBytes = 0;
  for (const state of graph.states) {
    if (state.storage.kind !== "state") throw new Error("a state is in memory of its own");
    states.set(state.storage.state, stateBytes);
    stateBytes += alignUp(bytesOf(state), tensorAlignment);
  }
  const { offsets, size } = placeBySize(lifetimesOf(graph).pieces, tensorAlignment);
  return {
    bufferSizes: [0, size, ...(stateBytes > 0 ? [stateBytes] : [])],
    place({ id, storage }) {
      if (storage.kind === "constant") return undefined;
      if (storage.kind === "state") return { memory: stateBuffer, offset: states.get(storage.state)! };
      return { memory: arenaBuffer, offset: offsets.get(id)! };
    },
  };
}

/** By the ids of tensors. Inputs are there before the first call, and outputs after the last. */
function lifetimesOf({ inputs, outputs, calls }: PortableGraph): Lifetimes<number> {
  const lifetimes = new Lifetimes<number>();
  const use = (tensor: PortableTensor, at: number): void => {
    if (tensor.storage.kind === "arena") lifetimes.use(tensor.id, bytesOf(tensor), at);
  };
  for (const input of inputs) use(input, -1);
  calls.forEach((call, at) => {
    const used = "op" in call ? [...call.args, ...call.results] : [...call.inputs, ...call.outputs];
    for (const tensor of used.flatMap(tensorsOf)) use(tensor, at);
  });
  for (const output of outputs) use(output, calls.length);
  return lifetimes;
}

function tensorsOf(arg: ArgTypes[keyof ArgTypes] | ComputedInt): readonly PortableTensor[] {
  if (typeof arg !== "object") return [];
  if (Array.isArray(arg)) return arg.flatMap(tensorsOf);
  return "kind" in arg && arg.kind === "tensor" ? [arg] : [];
}
