import { expect } from "vitest";
import { portableRefusals } from "../../src/backends/portable/lower.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { elementCount, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { graphOf, type Inputs, runPortable, runReference } from "./portable-run.ts";

/** A graph of one node of which S is a size from 1 to 8, and the calls that it is tried with. */
export interface NodeCase {
  readonly name: string;
  /** Types by name. Where none says what S is, one more is added. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Constants and sizes: what stands behind the name. */
  readonly given?: Readonly<Record<string, string>>;
  /** The op with its arguments, its attributes and its type. */
  readonly node: string;
  readonly calls: readonly Inputs[];
}

/** The graph of a case: values have numbers in place of names. */
export function nodeGraph({ inputs, given = {}, node }: NodeCase): Graph {
  const numbers = new Map<string, number>();
  const lines = [
    "symbol S 1..8",
    ...Object.entries(inputs).map(([name, type]) => `%${name} = input "${name}" : ${type}`),
    ...Object.entries(given).map(([name, value]) => `%${name} = ${value}`),
    `%result = ${node}`,
    'output "result" %result',
    "",
  ];
  const numbered = lines.join("\n").replace(/%([a-z]\w*)/g, (_, name) => {
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return `%${numbers.get(name)}`;
  });
  return graphOf(numbered);
}

/** 1, 2, … in a shape; booleans alternate in threes. */
export function counted(dtype: DType, ...shape: number[]): Tensor {
  const element = (i: number) => (dtype === "bool" ? Number(i % 3 === 0) : i + 1);
  return tensor(
    dtype,
    shape,
    Array.from({ length: elementCount(shape) }, (_, i) => element(i)),
  );
}

export const indices = (shape: readonly number[], ...data: number[]): Tensor => tensor("i64", shape, data);

/** The calls computed by kernels are what the op itself computes, to the bit but for the sign of zero. */
export async function expectAsReference(each: NodeCase): Promise<void> {
  await expectGraphAsReference(nodeGraph(each), each.calls);
}

export async function expectGraphAsReference(graph: Graph, calls: readonly Inputs[]): Promise<void> {
  expect(portableRefusals(graph)).toEqual([]);
  const [ours, theirs] = [await runPortable(graph), await runReference(graph)];
  for (const inputs of calls) {
    const [actual, expected] = [await ours(inputs), await theirs(inputs)];
    for (const { name } of graph.outputs) {
      const [have, want] = [actual[name]!, expected[name]!];
      expect(have.shape).toEqual(want.shape);
      expect(have.dtype).toBe(want.dtype);
      expect(Array.from(have.data, plain)).toEqual(Array.from(want.data, plain));
    }
  }
}

const plain = (value: number): number => value + 0;

/** Why a case cannot be. */
export const refusalOf = (each: Omit<NodeCase, "calls" | "name">): string | undefined =>
  portableRefusals(nodeGraph({ name: "", calls: [], ...each }))[0]?.why;
