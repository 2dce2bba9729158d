import { describe, expect, test } from "vitest";
import { measureSizes } from "../../src/compiler/report.ts";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import type { OpDef } from "../../src/ir/ops/op.ts";
import { tensorType } from "../../src/ir/type.ts";
import { computedWeight, readWeight } from "../../src/ir/weights.ts";
import { type Options, type OptionsInput, parseOptions } from "../../src/options.ts";
import { narrowWeights } from "../../src/passes/packed/narrow-weights.ts";
import { packTernaryWeights } from "../../src/passes/packed/pack-ternary.ts";
import type { Pass, PassContext } from "../../src/passes/pass.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { tensor } from "../../src/tensor/tensor.ts";

/** An op that the compiler knows by its definition alone: codes [N, K] and a table [V, D], of which it makes a row. */
const mixed: OpDef = {
  doc: "",
  args: ["codes", "scale", "table", "other?"],
  weights: { codes: "ternary", scale: "ternary-scale", table: "embedding" },
  infer: () => [tensorType("f32", [1])],
  kernel: () => [],
};
const ops = new Map([...coreOps, ["test.mixed", mixed]]);

const options = (given: OptionsInput = {}): Options => parseOptions(given);
const context = (given?: OptionsInput): PassContext => ({
  options: options(given),
  info: { frontend: "test", eosIds: [] },
  report: (diagnostic) => expect.unreachable(diagnostic.message),
  metric: () => {},
  rules: new Map(),
  placed: {},
  lowerings: [],
});
const run = (pass: Pass, graph: Graph, given?: OptionsInput) => pass.run(graph, context(given));

/** A weight too large to be held in the graph, all of whose elements are one number; none is read unasked. */
function weight(b: Builder, dtype: DType, shape: readonly number[], element = 1): Value {
  const fill = async () => {
    const value = tensor(dtype, shape);
    value.data.fill(element);
    return value;
  };
  return b.constant(computedWeight(`${dtype} ${shape} of ${element}`, dtype, shape, fill));
}

/** x · W for each of the weights given, side by side. */
function linears(elements: readonly number[]): Graph {
  const graph = new Graph(ops);
  const b = graph.edit("test");
  const x = b.input("x", tensorType("f32", [2, 64]));
  for (const [i, element] of elements.entries())
    b.output(`y${i}`, b("nn.linear", { x, weight: weight(b, "f32", [32, 64], element) }));
  return graph;
}

const dtypesOf = (graph: Graph, arg: string): DType[] =>
  graph.nodes.flatMap((node) => node.optional(arg)?.type.dtype ?? []);

describe("narrow-weights", () => {
  const [inBoth, inF16, inBf16, inF32] = [0.5, 1 + 2 ** -10, 2 ** 20, 1 + 2 ** -20];

  test("stores a weight in the smallest float that holds it", async () => {
    const graph = linears([inBoth, inF16, inBf16, inF32]);
    await run(narrowWeights, graph);
    expect(dtypesOf(graph, "weight")).toEqual(["f16", "f16", "bf16", "f32"]);
    const { def } = graph.nodes[2]!.arg("weight");
    expect(def.kind === "const" && (await readWeight(def.data)).data[0]).toBe(inBf16);
  });

  test.each(["f16", "bf16", "f32"] as const)("or in %s, where that is asked for", async (embedding) => {
    const graph = linears([inF32, inBoth]);
    await run(narrowWeights, graph, { embedding });
    expect(dtypesOf(graph, "weight")).toEqual([embedding, embedding]);
  });

  test("a head that shares the embedding's table shares it still", async () => {
    const graph = new Graph(ops);
    const b = graph.edit("test");
    const table = weight(b, "f32", [64, 32]);
    const x = b("nn.embedding", { table, ids: b.input("ids", tensorType("i64", [4])) });
    b.output("logits", b("nn.linear", { x, weight: table }));
    await run(narrowWeights, graph);
    const [embedding, head] = graph.nodes;
    expect(embedding!.arg("table").type.dtype).toBe("f16");
    expect(head!.arg("weight")).toBe(embedding!.arg("table"));
  });
});

/** One node of the op above, and one of a core op that takes the same constants. */
function mixedGraph(): Graph {
  const graph = new Graph(ops);
  const b = graph.edit("test");
  const codes = weight(b, "i8", [8, 256]);
  const scale = weight(b, "f32", [1]);
  const other = weight(b, "f32", [16]);
  const args = { codes, scale, table: weight(b, "f32", [64, 32]), other };
  b.output("row", b.untyped("test.mixed", args, {})[0]!);
  const x = b.input("x", tensorType("f32", [2, 256]));
  const y = b("bitnet.linear", { x, weight: codes, scale }, { activations: "float", group: 0 });
  b.output("y", b("nn.rms_norm", { x: y, scale: weight(b, "f32", [8]) }, { eps: 1e-5 }));
  return graph;
}

test("what an op's definition says of its arguments decides, not its name", async () => {
  const graph = mixedGraph();
  await run(packTernaryWeights, graph, { weights: "tq1_0" });
  await run(narrowWeights, graph);
  const [row, linear] = graph.nodes;
  expect(dtypesOf(graph, "codes")).toEqual(["tq1_0"]);
  expect(dtypesOf(graph, "table")).toEqual(["f16"]);
  expect(dtypesOf(graph, "other")).toEqual(["f32"]);
  expect(linear!.arg("weight")).toBe(row!.arg("codes"));
});

describe("the sizes of a program", () => {
  test("count each constant once, by its kind", () => {
    expect(measureSizes(mixedGraph())).toEqual({
      ternary: 8 * 256 + 4,
      embedding: 64 * 32 * 4,
      norm: 8 * 4,
      other: 16 * 4,
      total: 8 * 256 + 4 + 64 * 32 * 4 + 8 * 4 + 16 * 4,
      bitsPerTernaryWeight: ((8 * 256 + 4) * 8) / (8 * 256),
    });
  });

  test("are those of the blocks once weights are packed", async () => {
    const graph = mixedGraph();
    await run(packTernaryWeights, graph);
    const { ternary, bitsPerTernaryWeight } = measureSizes(graph);
    expect(ternary).toBe(8 * 66 + 4);
    expect(bitsPerTernaryWeight).toBeCloseTo(2.0625 + 32 / (8 * 256), 12);
  });

  test("a tied head counts as the embedding that it is", () => {
    const graph = new Graph(ops);
    const b = graph.edit("test");
    const table = weight(b, "f32", [64, 32]);
    const x = b("nn.embedding", { table, ids: b.input("ids", tensorType("i64", [4])) });
    b.output("logits", b("nn.linear", { x, weight: table }));
    expect(measureSizes(graph)).toMatchObject({ embedding: 64 * 32 * 4, other: 0, bitsPerTernaryWeight: 0 });
  });
});
