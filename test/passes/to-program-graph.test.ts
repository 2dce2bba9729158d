import { expect, test } from "vitest";
import { Graph } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { inlineWeight, type WeightRef } from "../../src/ir/weights.ts";
import { toProgramGraph } from "../../src/passes/to-program-graph.ts";
import { addDims, symbol } from "../../src/tensor/dim.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const large = (id: string): WeightRef => {
  const { inline: _, ...ref } = inlineWeight(tensor("f32", [4, 4]), id);
  return ref;
};

function sample(): Graph {
  const graph = new Graph(coreOps);
  const b = graph.edit("test").at("test:place");
  const n = symbol("n", 8);
  const x = b.input("x", { dtype: "f32", shape: [n, 4] });
  const start = b.input("start_pos", { dtype: "i64", shape: [1] }, [symbol("p", 8)]);
  const cache = b.state("cache", { dtype: "f32", shape: [8, 4] });
  const first = b("matmul", { a: x, b: b.constant(large("a")) });
  const second = b("matmul", { a: first, b: b.constant(large("b")) });
  const third = b("matmul", { a: second, b: b.constant(large("a")) });
  const scaled = b("mul", { a: third, b: b.constant(inlineWeight(tensor("f32", [], [2]))) });
  const longer = b("concat", { inputs: [scaled, x, cache] }, { axis: 0 });
  b.output("y", b("reshape", { x: longer, shape: b.dims([addDims(addDims(n, n), 8), 2, 2]) }));
  b.output("start", start);
  return graph;
}

test("constants are put in or named in order of first use, equal ones once", () => {
  const { graph, weights } = toProgramGraph(sample());
  expect([...weights].map(([key, { id }]) => [key, id])).toEqual([
    ["w0", "a"],
    ["w1", "b"],
  ]);
  expect(graph.constants.map((c) => ("key" in c ? c.key : [...c.inline.data]))).toEqual([
    "w0",
    "w1",
    "w0",
    [2],
  ]);
});

test("values are numbered, arguments named, sizes kept", () => {
  const { graph } = toProgramGraph(sample());
  expect(graph.inputs.map(({ name, value }) => [name, value])).toEqual([
    ["x", 0],
    ["start_pos", 1],
  ]);
  expect(graph.inputs[1]?.contents).toHaveLength(1);
  expect(graph.states).toEqual([{ name: "cache", value: 2 }]);
  expect(graph.nodes.map(({ op }) => op)).toEqual(["matmul", "matmul", "matmul", "mul", "concat", "reshape"]);
  const [matmul, , , mul, concat, reshape] = graph.nodes;
  expect(matmul).toMatchObject({ args: { a: 0, b: 3 }, results: [4], source: "test:place" });
  expect(concat).toMatchObject({ args: { inputs: [mul!.results[0], 0, 2] }, attrs: { axis: 0 } });
  expect(graph.dims.map(({ value }) => value)).toEqual([reshape!.args.shape]);
  expect(graph.values[reshape!.results[0]!]?.shape).toHaveLength(3);
  expect(graph.outputs).toEqual([
    { name: "y", value: reshape!.results[0] },
    { name: "start", value: 1 },
  ]);
});

test("the same graph gives the same program", () => {
  expect(JSON.stringify(toProgramGraph(sample()).graph)).toBe(JSON.stringify(toProgramGraph(sample()).graph));
});
