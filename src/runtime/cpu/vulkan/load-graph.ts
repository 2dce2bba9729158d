import * as diagnostics from "../../../diagnostics.ts";
import { BitnetcError } from "../../../errors.ts";
import type { DType } from "../../../tensor/dtype.ts";
import {
  byteLength,
  decodeElements,
  elementCount,
  elementsAt,
  type Tensor,
  type TensorData,
  tensor,
} from "../../../tensor/tensor.ts";
import { elementwiseKernels } from "../kernels/elementwise.ts";
import type { GraphTensor } from "./graph-tensor.ts";
import type { Memory } from "./kinds.ts";
import { type GraphCall, layMemory, type ResolvedGraph } from "./resolve-graph.ts";

/** A graph with its constants and caches in memory. */
export interface LoadedGraph {
  /**
   * @param inputs tensors in any type that converts, and integers, which may be tensors too, in the graph's order
   * @returns what the outputs hold, until the next run
   * @throws BitnetcError `run-failed`; RangeError for a shape of an input that is beyond its bound
   */
  run(inputs: readonly (Tensor | number)[]): readonly Tensor[];
  /** Tensors that keep their elements from run to run. */
  readonly states: readonly GraphTensor[];
  /** Sets the states to what they held at first. */
  reset(): void;
  /** Frees what it holds. It cannot run afterwards. */
  dispose(): void;
}

/** @param readConstant gives the bytes of one of the graph's constants, as many as its length or more */
export async function loadGraph(
  resolved: ResolvedGraph,
  readConstant: (constant: number) => Promise<Uint8Array>,
): Promise<LoadedGraph> {
  const { graph, preparations, calls, ownCaches } = resolved;
  const memory = layMemory(graph, ownCaches);
  await loadConstants(resolved, memory, readConstant);
  runAll(preparations, memory);
  const at = (place: number) => memory[place] as GraphTensor;
  const constantOf = (place: number) => ownCaches[place - graph.values.length] ?? place;
  const prepared = new Set(preparations.map(({ args }) => args.at(-1)!));
  const states = resolved.states.map(at);
  const first = resolved.states.map((place) => {
    const source = constantOf(place);
    return at(source).isConstant || prepared.has(source) ? at(source).tensor : undefined;
  });
  for (const state of states) state.isState = true;
  const reset = () => {
    states.forEach((state, i) => {
      const { dtype, bound } = state;
      state.write(copyAs(first[i] ?? tensor(dtype, bound), dtype));
    });
  };
  reset();
  return {
    states,
    reset,
    dispose() {
      for (const list of [memory, states, first]) list.length = 0;
    },
    run(inputs) {
      graph.inputs.forEach((place, i) => {
        const input = inputs[i]!;
        if (typeof input === "number") memory[place] = input | 0;
        else if (graph.values[place]!.type === "SymInt") memory[place] = integerOf(input);
        else at(place).write(copyAs(input, at(place).dtype));
      });
      runAll(calls, memory);
      return graph.outputs.map((place) => at(place).tensor);
    },
  };
}

function integerOf({ shape, data }: Tensor): number {
  if (data.length !== 1) throw new RangeError(`An integer is given as [${shape.join(", ")}].`);
  return data[0]! | 0;
}

/** A tensor of its own. */
function copyAs(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return { ...x, data: x.data.slice() };
  return elementwiseKernels.cast({ x }, { to: dtype })[0]!;
}

function runAll(calls: readonly GraphCall[], memory: Memory): void {
  for (const { name, operator, args, source } of calls) {
    try {
      operator.run(memory, args);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new BitnetcError(diagnostics.runFailed(name, error.message, source), { cause: error });
    }
  }
}

async function loadConstants(
  { graph, constants }: ResolvedGraph,
  memory: Memory,
  readConstant: (constant: number) => Promise<Uint8Array>,
): Promise<void> {
  const loaded = new Map<string, TensorData>();
  for (const place of constants) {
    const value = graph.values[place]!;
    if (value.type !== "VkTensor") continue;
    const target = memory[place] as GraphTensor;
    const { dtype, bound } = target;
    const count = elementCount(bound);
    const key = `${value.constant} ${dtype} ${count}`;
    let data = loaded.get(key);
    if (data === undefined) {
      data = elementsOf(dtype, await readConstant(value.constant!), count);
      loaded.set(key, data);
    }
    target.write({ dtype, shape: bound, data });
  }
}

/** Elements where they lie, if they lie as memory holds them. */
function elementsOf(dtype: DType, bytes: Uint8Array, count: number): TensorData {
  const { buffer, byteOffset } = bytes;
  const isHeldSo = dtype !== "f16" && dtype !== "bool" && buffer instanceof ArrayBuffer;
  return isHeldSo && byteOffset % byteLength(dtype, 1) === 0
    ? elementsAt(dtype, buffer, byteOffset, count)
    : decodeElements(dtype, bytes, count);
}
