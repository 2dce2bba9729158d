import type { PartitionReport } from "../../src/backends/partition-report.ts";
import { vulkan } from "../../src/backends/vulkan/backend.ts";
import { BitnetcError, type Diagnostic } from "../../src/errors.ts";
import type { ModelInfo } from "../../src/frontend/model.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import type { WeightRef } from "../../src/ir/weights.ts";
import { parseOptions } from "../../src/options.ts";
import { openPortable } from "../../src/runtime/cpu/portable/open-portable.ts";
import { describeProgram, type ProgramDescription } from "../../src/serialize/describe-program.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { readVulkanBlob } from "../../src/serialize/vulkan-blob.ts";
import type { VulkanGraph } from "../../src/serialize/vulkan-graph.ts";
import { evaluateDim, isSymbolic } from "../../src/tensor/dim.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { elementCount, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { type Inputs, runReference } from "./portable-run.ts";

/** A graph from lines of its text, whose values have names in place of numbers. */
export function namedGraph(
  lines: readonly string[],
  weights: Readonly<Record<string, WeightRef>> = {},
): Graph {
  const numbers = new Map<string, number>();
  const numbered = (name: string): string => {
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return `%${numbers.get(name)}`;
  };
  const text = [...lines, ""].join("\n").replace(/%([a-z]\w*)/gi, (_, name) => numbered(name));
  return parseGraph(text, coreOps, (name) => weights[name]);
}

/** Numbers of a constant in a graph's text. */
export const numbers = (count: number, seed = 0): string =>
  Array.from({ length: count }, (_, i) => ((((i + seed) * 37) % 19) - 9) / 8).join(", ");
/** Ternary codes of a constant in a graph's text. */
export const codes = (count: number): string =>
  Array.from({ length: count }, (_, i) => ((i * 7 + (i >> 2)) % 3) - 1).join(", ");

interface PlacedGraph {
  readonly report: PartitionReport;
  readonly diagnostics: readonly Diagnostic[];
  readonly codes: readonly string[];
  write(): Promise<Uint8Array>;
}

/** The graph as the backend splits it up. */
export function place(graph: Graph): PlacedGraph {
  const diagnostics: Diagnostic[] = [];
  const info: ModelInfo = { frontend: "test", eosIds: [] };
  const placed = vulkan.partition(graph, {
    options: parseOptions({ backend: "vulkan" }),
    info,
    report: (diagnostic) => {
      diagnostics.push(diagnostic);
    },
    placed: {},
    lowerings: [],
    metric: () => {},
    rules: new Map(),
  });
  return {
    report: placed.report!,
    diagnostics,
    codes: diagnostics.map(({ code }) => code),
    async write() {
      const errors = diagnostics.filter(({ severity }) => severity === "error");
      if (errors.length > 0) throw new BitnetcError(errors);
      const sink = memorySink();
      const report = { phases: [], ops: {}, sizes: undefined, rules: {}, metrics: {}, warnings: diagnostics };
      await placed.emit({ info, report: { ...report, partition: placed.report } }, sink);
      return sink.bytes();
    },
  };
}

export interface ReadProgram {
  readonly description: ProgramDescription;
  /** Those of its delegates. */
  readonly graphs: readonly VulkanGraph[];
  run(inputs: Inputs): Promise<Record<string, Tensor>>;
}

export async function readBack(bytes: Uint8Array): Promise<ReadProgram> {
  const file = await readProgram(bytesSource("test", bytes));
  const program = await openPortable(file, "forward");
  const executor = await program.execute!(program);
  const blobs = await Promise.all(file.delegates.map(({ data }) => readVulkanBlob(data, "test")));
  return {
    description: describeProgram(file),
    graphs: blobs.map(({ graph }) => graph),
    run: async (inputs) => executor.run(inputs),
  };
}

/** Sizes of one call by the names of symbols. */
export type Sizes = Readonly<Record<string, number>>;

/** Inputs that depend on `seed` alone, of a call's sizes. An input that holds a size has it. */
export function inputsOf(
  graph: Graph,
  sizes: Sizes,
  seed: number,
  [low, high]: readonly [number, number] = [-3, 3],
): Inputs {
  const values = new Map(Object.entries(sizes));
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const made = graph.inputs.map(({ def, type, contents }) => {
    const shape = type.shape.map((size) => evaluateDim(size, values));
    const element = () => {
      const value = low + next() * (high - low);
      return isFloat(type.dtype) ? value : Math.round(value);
    };
    const held = contents?.every(isSymbolic) && contents.map((size) => evaluateDim(size, values));
    const data = held || Array.from({ length: elementCount(shape) }, element);
    return [(def as { name: string }).name, tensor(type.dtype, shape, data)] as const;
  });
  return Object.fromEntries(made);
}

export interface Comparison {
  /** The sizes of one call after another. */
  readonly calls?: readonly Sizes[];
  /** The inputs' elements. */
  readonly range?: readonly [number, number];
}

export interface Compared extends ReadProgram {
  readonly bytes: Uint8Array;
  readonly report: PartitionReport;
  readonly diagnostics: readonly Diagnostic[];
  /** The largest difference from the graph run by the kernels of its own ops, by 1 + the magnitude. */
  readonly error: number;
}

/** The first calls go up and down between the bounds of a symbol S 1..8. */
const upAndDown: readonly Sizes[] = [3, 8, 1, 5].map((S) => ({ S }));

/**
 * The graph split up, lowered, written, read back and run, against the graph run by the kernels of its own ops.
 * @throws Error where shapes, types or numbers that are not finite differ
 */
export async function compare(
  graph: Graph,
  { calls = upAndDown, range }: Comparison = {},
): Promise<Compared> {
  const { report, diagnostics, write } = place(graph);
  const bytes = await write();
  const [program, reference] = [await readBack(bytes), await runReference(graph)];
  let error = 0;
  for (const [i, sizes] of calls.entries()) {
    const inputs = inputsOf(graph, sizes, 17 * i + 1, range);
    const [actual, expected] = [await program.run(inputs), await reference(inputs)];
    for (const [name, { dtype, shape, data }] of Object.entries(expected)) {
      const own = actual[name]!;
      if (own.dtype !== dtype || own.shape.join() !== shape.join())
        throw new Error(`${name} is ${own.dtype}[${own.shape}] in place of ${dtype}[${shape}]`);
      data.forEach((value: number, j: number) => {
        const found = own.data[j]!;
        if (Object.is(found, value)) return;
        const off = Math.abs(found - value) / (1 + Math.abs(value));
        if (!Number.isFinite(off)) throw new Error(`${name}[${j}] is ${found} in place of ${value}`);
        error = Math.max(error, off);
      });
    }
  }
  return { ...program, bytes, report, diagnostics, error };
}

/** A product, for what would not be worth a delegate without one. */
export const product: readonly string[] = [
  `%px = input "px" : f32[1, 4]`,
  "%pw = const f32[1, 4] {1, 2, 3, 4}",
  "%py = nn.linear(x: %px, weight: %pw) : f32[1, 1]",
  `output "py" %py`,
];
