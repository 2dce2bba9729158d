import { describe, expect, test } from "vitest";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { tensorType } from "../../src/ir/type.ts";
import { inlineWeight } from "../../src/ir/weights.ts";
import { type OptionsInput, parseOptions } from "../../src/options.ts";
import { evaluate } from "../../src/passes/evaluate.ts";
import { sequenceLength } from "../../src/passes/lengths.ts";
import { selectLogits, sinkSlices } from "../../src/passes/packed/select-logits.ts";
import type { PassContext } from "../../src/passes/pass.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const context = (given: OptionsInput): PassContext => ({
  options: parseOptions(given),
  info: { frontend: "test", eosIds: [] },
  report: (diagnostic) => expect.unreachable(diagnostic.message),
  metric: () => {},
  rules: new Map(),
  placed: {},
  lowerings: [],
});

const numbers = (b: Builder, ...shape: readonly number[]): Value => {
  const value = tensor("f32", shape);
  for (let i = 0; i < value.data.length; i++) value.data[i] = Math.sin(7 * i + shape.length);
  return b.constant(inlineWeight(value));
};

/** Logits [1, S, 5] of a row of the table for each token: residual sum, norm, head, and a cap on the logits. */
function model(): Graph {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  const tokens = b.input("tokens", tensorType("i64", [1, sequenceLength(8)]));
  const x = b("nn.embedding", { table: numbers(b, 6, 4), ids: tokens });
  const sum = b("add", { a: x, b: b("nn.silu", { x }) });
  const normed = b("nn.rms_norm", { x: sum, scale: numbers(b, 4) }, { eps: 1e-5 });
  const head = b("nn.linear", { x: normed, weight: numbers(b, 5, 4) });
  const cap = b.constant(inlineWeight(tensor("f32", [], [30])));
  b.output("logits", b("mul", { a: b("tanh", { x: b("div", { a: head, b: cap }) }), b: cap }));
  return graph;
}

async function logitsOf(graph: Graph, ids: readonly number[]) {
  const inputs = new Map([[graph.inputs[0]!, tensor("i64", [1, ids.length], ids)]]);
  return evaluate(graph.outputs[0]!.value, { inputs, symbols: new Map([["S", ids.length]]) });
}

const opsOf = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);

describe("--logits last", () => {
  test("returns the row of the last token, the same numbers as before", async () => {
    const graph = model();
    const ids = [3, 0, 5];
    const { data: all } = await logitsOf(graph, ids);
    await selectLogits.run(graph, context({}));
    await sinkSlices.run(graph, context({}));
    const { data, shape } = await logitsOf(graph, ids);
    expect(shape).toEqual([1, 5]);
    expect(Array.from(data)).toEqual(Array.from(all.subarray(10)));
  });

  test("computes that row only, from where rows meet", async () => {
    const graph = model();
    await selectLogits.run(graph, context({}));
    expect(opsOf(graph).slice(-2)).toEqual(["slice", "reshape"]);
    await sinkSlices.run(graph, context({}));
    const after = ["slice", "nn.rms_norm", "nn.linear", "div", "tanh", "mul", "reshape"];
    expect(opsOf(graph)).toEqual(["nn.embedding", "nn.silu", "add", ...after]);
    expect(graph.nodes.find(({ op }) => op === "nn.linear")!.results[0]!.type.shape).toEqual([1, 1, 5]);
  });

  test("but not with --logits all", async () => {
    const graph = model();
    const before = opsOf(graph);
    await selectLogits.run(graph, context({ logits: "all" }));
    expect(opsOf(graph)).toEqual(before);
  });
});

describe("a slice stays behind", () => {
  /** slice(op(x)) of [2, 4, 6], rows 1 to 3 of an axis. */
  async function sunk(
    axis: number,
    make: (b: Builder, x: Value) => Value,
    more?: (b: Builder, y: Value) => void,
  ) {
    const graph = new Graph(coreOps);
    const b = graph.edit("test");
    const y = make(b, b.input("x", tensorType("f32", [2, 4, 6])));
    more?.(b, y);
    const args = { x: y, starts: b.dims([1]), ends: b.dims([2]) };
    b.output("y", b("slice", args, { axes: [axis], steps: [1] }));
    await sinkSlices.run(graph, context({}));
    return opsOf(graph);
  }
  const silu = (b: Builder, x: Value): Value => b("nn.silu", { x });

  test("nothing, as long as it cuts rows", async () => {
    expect(await sunk(1, silu)).toEqual(["slice", "nn.silu"]);
    expect(await sunk(-3, silu)).toEqual(["slice", "nn.silu"]);
  });
  test("what it would cut the elements of", async () => {
    expect(await sunk(2, silu)).toEqual(["nn.silu", "slice"]);
    expect(await sunk(-1, silu)).toEqual(["nn.silu", "slice"]);
  });
  test("what others use too", async () => {
    const used = (b: Builder, y: Value): void => b.output("all", y);
    expect(await sunk(1, silu, used)).toEqual(["nn.silu", "slice"]);
  });
  test("what mixes rows", async () => {
    const sorted = (b: Builder, x: Value): Value =>
      b("cumsum", { x }, { axis: 1, exclusive: false, reverse: false });
    expect(await sunk(1, sorted)).toEqual(["cumsum", "slice"]);
  });
});
