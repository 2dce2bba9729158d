import { type GraphCall, itemsAt, type ResolvedGraph } from "./resolve-graph.ts";

/**
 * Half sentences about values that are read before they are written, or when another that shares their memory has been
 * written since, and about calls that write what they read: an op reads and writes in no particular order.
 */
export function lifetimeFaults(resolved: ResolvedGraph): readonly string[] {
  const { graph, preparations, calls, states } = resolved;
  const { values, inputs, outputs } = graph;
  const faults: string[] = [];
  const lasting = new Set(states);
  const written = new Set<number>(resolved.constants);
  const owners = new Map<number, number>();
  /** What tensors share their memory with, if they do. */
  const memoryOf = (at: number): number | undefined => {
    const value = values[at];
    return value?.type === "VkTensor" ? value.memoryObject : undefined;
  };
  const write = (at: number): void => {
    const memory = memoryOf(at);
    written.add(at);
    if (memory !== undefined) owners.set(memory, at);
  };
  const read = (at: number, reader: string): void => {
    const memory = memoryOf(at);
    if (!written.has(at)) faults.push(`has value ${at}, which ${reader} reads before it is written`);
    else if (memory !== undefined && owners.get(memory) !== at)
      faults.push(`has value ${at}, which ${reader} reads after value ${owners.get(memory)} took its memory`);
  };

  for (const call of preparations) {
    for (const at of accessed(resolved, call, "write")) {
      lasting.add(at);
      if (memoryOf(at) !== undefined)
        faults.push(`has value ${at}, which ${call.source} fills once, in memory that may be shared`);
    }
  }
  for (const at of lasting) {
    written.add(at);
    const memory = memoryOf(at);
    const other = values.findIndex((_, i) => i !== at && memory !== undefined && memoryOf(i) === memory);
    if (other >= 0) faults.push(`has value ${at}, which is to last, in the memory of value ${other}`);
  }
  for (const at of lasting) write(at);
  for (const at of inputs) {
    if (lasting.has(at)) faults.push(`has value ${at}, which is to last, as an input`);
    write(at);
  }
  for (const call of calls) {
    const source = `${call.name} of ${call.source}`;
    const reads = accessed(resolved, call, "read");
    const writes = accessed(resolved, call, "write");
    for (const at of reads) read(at, source);
    for (const at of writes) {
      if (lasting.has(at)) faults.push(`has value ${at}, which is to last, as the result of ${source}`);
      const memory = memoryOf(at);
      if (reads.some((other) => other === at || (memory !== undefined && memoryOf(other) === memory)))
        faults.push(`has value ${at} as the result of ${source} in memory that it reads`);
      write(at);
    }
  }
  for (const at of outputs) read(at, "the program");
  return [...new Set(faults)];
}

/** The tensors and the integers of its values that a call reads or writes; what it changes it does not count to them. */
function accessed({ graph }: ResolvedGraph, { operator, args }: GraphCall, access: "read" | "write") {
  return args
    .flatMap((arg, i) => (operator.params[i]!.access === access ? itemsAt(graph, arg) : []))
    .filter((at) => ["VkTensor", "SymInt"].includes(graph.values[at]?.type ?? ""));
}
