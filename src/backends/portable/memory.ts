import { maxOf } from "../../tensor/dim.ts";
import { byteLength, elementCount } from "../../tensor/tensor.ts";
import type { ArgTypes, ComputedInt, PortableGraph, PortableTensor } from "./value.ts";

/** Of every tensor in a planned buffer, as ExecuTorch's own planner has it. */
const alignment = 16;
export const align = (offset: number): number => Math.ceil(offset / alignment) * alignment;

/** Planned buffers are numbered from 1. */
const arenaBuffer = 1;
const stateBuffer = 2;

export interface MemoryPlan {
  /** Entry 0 is reserved. */
  readonly bufferSizes: readonly number[];
  place(tensor: PortableTensor): { readonly memory: number; readonly offset: number } | undefined;
}

interface Lifetime {
  readonly tensor: PortableTensor;
  /** Calls in which it is used; -1 is before the first. */
  readonly first: number;
  last: number;
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
    stateBytes += align(bytesOf(state));
  }
  const { offsets, size } = planArena(graph);
  return {
    bufferSizes: [0, size, ...(stateBytes > 0 ? [stateBytes] : [])],
    place({ id, storage }) {
      if (storage.kind === "constant") return undefined;
      if (storage.kind === "state") return { memory: stateBuffer, offset: states.get(storage.state)! };
      return { memory: arenaBuffer, offset: offsets.get(id)! };
    },
  };
}

/** The largest first, each at the lowest offset where nothing is that lives at the same time. */
function planArena(graph: PortableGraph): {
  readonly offsets: ReadonlyMap<number, number>;
  readonly size: number;
} {
  const offsets = new Map<number, number>();
  const placed: { readonly lifetime: Lifetime; readonly from: number; readonly to: number }[] = [];
  let size = 0;
  const lifetimes = lifetimesOf(graph);
  const bySize = [...lifetimes].sort((a, b) => bytesOf(b.tensor) - bytesOf(a.tensor) || a.first - b.first);
  for (const lifetime of bySize) {
    const bytes = align(bytesOf(lifetime.tensor));
    const neighbours = placed
      .filter(({ lifetime: { first, last } }) => first <= lifetime.last && lifetime.first <= last)
      .sort((a, b) => a.from - b.from);
    let from = 0;
    for (const neighbour of neighbours) {
      if (neighbour.from - from >= bytes) break;
      from = Math.max(from, neighbour.to);
    }
    offsets.set(lifetime.tensor.id, from);
    placed.push({ lifetime, from, to: from + bytes });
    size = Math.max(size, from + bytes);
  }
  return { offsets, size };
}

/** Inputs are there before the first call, and outputs after the last. */
function lifetimesOf({ inputs, outputs, calls }: PortableGraph): Iterable<Lifetime> {
  const lifetimes = new Map<number, Lifetime>();
  const use = (tensor: PortableTensor, at: number): void => {
    if (tensor.storage.kind !== "arena") return;
    const known = lifetimes.get(tensor.id);
    if (known === undefined) lifetimes.set(tensor.id, { tensor, first: at, last: at });
    else known.last = at;
  };
  for (const input of inputs) use(input, -1);
  calls.forEach((call, at) => {
    const used = "op" in call ? [...call.args, ...call.results] : [...call.inputs, ...call.outputs];
    for (const tensor of used.flatMap(tensorsOf)) use(tensor, at);
  });
  for (const output of outputs) use(output, calls.length);
  return lifetimes.values();
}

function tensorsOf(arg: ArgTypes[keyof ArgTypes] | ComputedInt): readonly PortableTensor[] {
  if (typeof arg !== "object") return [];
  if (Array.isArray(arg)) return arg.flatMap(tensorsOf);
  return "kind" in arg && arg.kind === "tensor" ? [arg] : [];
}
