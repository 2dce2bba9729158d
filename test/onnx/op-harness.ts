import { BitnetcError } from "../../src/errors.ts";
import { NodeContext } from "../../src/frontend/onnx/context.ts";
import { ConstantEvaluator } from "../../src/frontend/onnx/evaluate.ts";
import type { OnnxAttribute } from "../../src/frontend/onnx/importer.ts";
import { importersOf } from "../../src/frontend/onnx/ops/index.ts";
import { Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import type { TensorType } from "../../src/ir/type.ts";
import { inlineWeight, sliceRows, type WeightRef } from "../../src/ir/weights.ts";
import { evaluate } from "../../src/passes/evaluate.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { elementCount, type Tensor, tensor } from "../../src/tensor/tensor.ts";

/** A tensor is an input of the graph that is fed with it; a bare type one that is not; a weight a constant. */
export type OpInput = Tensor | TensorType | WeightRef | undefined;

export interface OpCall {
  readonly inputs: readonly OpInput[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  readonly domain?: string;
  readonly opset?: number;
  /** Names of the outputs that are wanted, "" for one that is not; one output unless given. */
  readonly outputs?: readonly string[];
}

export interface ImportedOp {
  readonly graph: Graph;
  readonly results: readonly Value[];
  readonly fed: ReadonlyMap<Value, Tensor>;
}

export const microsoft = "com.microsoft";

/** Imports one ONNX node; the graph has its results as outputs. */
export function importOp(opType: string, call: OpCall): ImportedOp {
  const { domain = "", opset = 21, outputs = ["y"] } = call;
  const graph = new Graph(coreOps);
  const b = graph.edit("import");
  const fed = new Map<Value, Tensor>();
  const inputs = call.inputs.map((input, i) => {
    if (input === undefined) return undefined;
    if ("rows" in input) return b.constant(input);
    const value = b.input(`x${i}`, { dtype: input.dtype, shape: input.shape });
    if ("data" in input) fed.set(value, input);
    return value;
  });
  const attributes = new Map(Object.entries(call.attributes ?? {}));
  const node = { opType, domain, name: "node", opset, attributes, outputs, inputs };
  const importer = importersOf(domain)![opType]!;
  const results = importer(new NodeContext(node, b, "node", new ConstantEvaluator()));
  results.forEach((result, i) => {
    if ((outputs[i] ?? "") !== "") b.output(outputs[i]!, result);
  });
  b.sweep();
  return { graph, results, fed };
}

/** Imports one ONNX node and computes its results. */
export async function runOp(opType: string, call: OpCall): Promise<readonly Tensor[]> {
  const { graph, fed } = importOp(opType, call);
  return Promise.all(graph.outputs.map(({ value }) => evaluate(value, { inputs: fed })));
}

/** The first result's elements. */
export async function elementsOf(opType: string, call: OpCall): Promise<number[]> {
  return Array.from((await runOp(opType, call))[0]!.data);
}

/** How often each op occurs in the graph. */
export function opCounts({ graph }: ImportedOp): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

/** The message with which a node is refused. */
export function refusalOf(opType: string, call: OpCall): string {
  try {
    importOp(opType, call);
  } catch (error) {
    if (error instanceof BitnetcError) return error.diagnostics.map(({ message }) => message).join(" ");
    throw error;
  }
  return "it is not refused";
}

export const constant = (value: Tensor): WeightRef => inlineWeight(value);
export const ints = (...values: number[]): WeightRef => constant(tensor("i64", [values.length], values));
export const floats = (shape: readonly number[], ...values: number[]): Tensor => tensor("f32", shape, values);

/** Numbers that look random and are the same each time: multiples of 1/64 from -2 to 2. */
export function sample(shape: readonly number[], seed = 1, dtype: DType = "f32"): Tensor {
  let state = seed * 2654435761;
  const values = Array.from({ length: elementCount(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) % 257) / 64 - 2;
  });
  return tensor(dtype, shape, values);
}

/** Integers from `low` (inclusive) to `high` (exclusive), the same each time. */
export function sampleInts(
  shape: readonly number[],
  low: number,
  high: number,
  dtype: DType,
  seed = 1,
): Tensor {
  const { data } = sample(shape, seed, "f64");
  const values = Array.from(data, (value) => low + (Math.floor((value + 2) * 64) % (high - low)));
  return tensor(dtype, shape, values);
}

/** A weight as a file holds it: nothing is inline, and the rows that are read are noted. */
export function fileLike(value: Tensor, read: string[] = [], name = "w"): WeightRef {
  return {
    id: `${name}${value.shape}`,
    dtype: value.dtype,
    shape: value.shape,
    rows: async (from, to) => {
      read.push(`${name} ${from}-${to}`);
      return sliceRows(value, from, to);
    },
  };
}
