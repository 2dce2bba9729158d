import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import type { Kernel, OpSignature } from "../../ir/ops/op.ts";
import { symbolBounds } from "../../tensor/dim.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { ProgramGraph, ProgramNode } from "../graph.ts";
import { bindInputs } from "../inputs.ts";
import { evaluateSizes, type Sizes, solveSizes } from "../sizes.ts";
import { cpuKernelsByName } from "./kernels/index.ts";

type KernelsByName = ReadonlyMap<string, Kernel<OpSignature>>;

interface CpuExecutorOptions {
  /** Reads a constant that is not in the graph itself, by its key. */
  loadConstant(key: string): Promise<Tensor>;
  /** By op name; the core's, unless given. */
  readonly kernels?: KernelsByName;
}

export interface CpuExecutor {
  /**
   * Runs the graph once. The states keep what it leaves in them; the outputs are the caller's.
   * @throws BitnetcError for inputs that do not fit, and for values that an op cannot take
   */
  run(inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor>;
  /** The first `length` rows [1, H, length, D] of a state [1, H, C, D]. */
  readState(name: string, length: number): Tensor;
  /** Overwrites the first rows of a state. */
  writeState(name: string, rows: Tensor): void;
  /** Sets every state to zero. */
  reset(): void;
  readonly states: ReadonlyMap<string, Tensor>;
}

/** Lists of sizes that depend on symbols. */
type Dims = ProgramGraph["dims"][number];

interface Step {
  readonly node: ProgramNode;
  readonly kernel: Kernel<OpSignature>;
  readonly args: readonly (readonly [string, number | readonly number[]])[];
  /** Lists of sizes that this node is the first to use. */
  readonly dims: readonly Dims[];
  /** Values that nothing uses after this node. */
  readonly dead: readonly number[];
  /** The results' shapes have symbols that no earlier value gives away: the data decides on them. */
  readonly givesSizes: boolean;
}

/**
 * Makes a graph ready to run on the CPU with one kernel for each node, in order.
 * @throws BitnetcError naming every op that there is no kernel for
 */
export async function createCpuExecutor(
  graph: ProgramGraph,
  { loadConstant, kernels = cpuKernelsByName }: CpuExecutorOptions,
): Promise<CpuExecutor> {
  const steps = planSteps(graph, kernels);
  const states = new Map(
    graph.states.map(({ name, value }) => {
      const { dtype, shape } = graph.values[value]!;
      return [name, tensor(dtype, evaluateSizes(shape, new Map()))];
    }),
  );
  /** Values that are there before a run and stay after it. */
  const lasting = new Array<Tensor | undefined>(graph.values.length).fill(undefined);
  for (const { name, value } of graph.states) lasting[value] = states.get(name)!;
  const loaded = new Map<string, Tensor>();
  for (const constant of graph.constants) {
    if ("inline" in constant) {
      lasting[constant.value] = constant.inline;
    } else {
      const { key, value } = constant;
      if (!loaded.has(key)) loaded.set(key, await loadConstant(key));
      lasting[value] = loaded.get(key)!;
    }
  }
  const lastingMemory = new Set(lasting.map((held) => held?.data.buffer));

  return {
    run(inputs) {
      const sizes = bindInputs(graph, inputs);
      const slots = [...lasting];
      for (const { name, value } of graph.inputs) slots[value] = inputs[name]!;
      for (const step of steps) runStep(step, graph, slots, sizes);
      const outputs: Record<string, Tensor> = {};
      for (const { name, value } of graph.outputs) {
        const held =
          slots[value] ?? sizesTensor(graph, graph.dims.find((dims) => dims.value === value)!, sizes);
        // a view of a state would change with the next run
        const isShared = lastingMemory.has(held.data.buffer);
        outputs[name] = isShared ? { ...held, data: held.data.slice() } : held;
      }
      return outputs;
    },
    readState(name, length) {
      const state = states.get(name)!;
      const rows = tensor(state.dtype, state.shape.with(2, length));
      copyRows(state, rows, length);
      return rows;
    },
    writeState: (name, rows) => copyRows(rows, states.get(name)!, rows.shape[2]!),
    reset() {
      for (const { data } of states.values()) data.fill(0);
    },
    states,
  };
}

/** Copies the first `length` rows of each head from one tensor [1, H, C, D] to another, with its own C. */
function copyRows(from: Tensor, to: Tensor, length: number): void {
  const [, heads, , width] = to.shape as [number, number, number, number];
  for (let head = 0; head < heads; head++) {
    const [source, target] = [from, to].map(({ shape }) => head * shape[2]! * width) as [number, number];
    to.data.set(from.data.subarray(source, source + length * width), target);
  }
}

function planSteps(graph: ProgramGraph, kernels: KernelsByName): readonly Step[] {
  const missing = new Map<string, string>();
  for (const { op, source } of graph.nodes) if (!kernels.has(op) && !missing.has(op)) missing.set(op, source);
  if (missing.size > 0)
    throw new BitnetcError([...missing].map(([op, source]) => diagnostics.kernelMissing(op, source)));

  const lastUse = new Map<number, number>();
  graph.nodes.forEach(({ args, results }, i) => {
    for (const value of results) lastUse.set(value, i);
    for (const value of Object.values(args).flat()) lastUse.set(value, i);
  });
  for (const { value } of graph.outputs) lastUse.delete(value);
  const dead = graph.nodes.map((): number[] => []);
  for (const [value, i] of lastUse) dead[i]!.push(value);

  const dims = new Map(graph.dims.map((each) => [each.value, each]));
  const symbols: ReturnType<typeof symbolBounds> = new Map();
  for (const { value, contents = [] } of graph.inputs)
    for (const size of [...graph.values[value]!.shape, ...contents]) symbolBounds(size, symbols);
  return graph.nodes.map((node, i): Step => {
    const first = [...new Set(Object.values(node.args).flat())].flatMap((value) => dims.get(value) ?? []);
    for (const { value } of first) dims.delete(value);
    const known = symbols.size;
    for (const value of node.results)
      for (const size of graph.values[value]!.shape) symbolBounds(size, symbols);
    return {
      node,
      kernel: kernels.get(node.op)!,
      args: Object.entries(node.args),
      dims: first,
      dead: dead[i]!,
      givesSizes: symbols.size > known,
    };
  });
}

function runStep(step: Step, graph: ProgramGraph, slots: (Tensor | undefined)[], sizes: Sizes): void {
  const { node, kernel } = step;
  for (const dims of step.dims) slots[dims.value] = sizesTensor(graph, dims, sizes);
  const args: Record<string, Tensor | readonly Tensor[]> = {};
  for (const [name, arg] of step.args)
    args[name] = typeof arg === "number" ? slots[arg]! : arg.map((value) => slots[value]!);
  let results: readonly Tensor[];
  try {
    results = kernel(args as Parameters<typeof kernel>[0], node.attrs);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BitnetcError(diagnostics.runFailed(node.op, error.message, node.source), { cause: error });
  }
  node.results.forEach((value, i) => {
    slots[value] = results[i]!;
  });
  if (step.givesSizes) bindResults(node, graph, results, sizes);
  for (const value of step.dead) slots[value] = undefined;
}

function bindResults(
  { op, results }: ProgramNode,
  graph: ProgramGraph,
  computed: readonly Tensor[],
  sizes: Sizes,
): void {
  const facts = results.flatMap((value, i) =>
    graph.values[value]!.shape.map((size, axis) => ({ size, actual: computed[i]!.shape[axis]! })),
  );
  const [wrong] = solveSizes(facts, sizes);
  if (wrong !== undefined) throw new Error(`${op} gave the size ${wrong.fact.actual} for ${wrong.expected}`);
}

const sizesTensor = (graph: ProgramGraph, { value, sizes }: Dims, known: Sizes): Tensor =>
  tensor("i64", evaluateSizes(graph.values[value]!.shape, known), evaluateSizes(sizes, known));
