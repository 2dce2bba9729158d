import { expect, test } from "vitest";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { tensorType } from "../../src/ir/type.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { inlineWeight } from "../../src/ir/weights.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const S = symbol("S", 8, 1);
const cacheType = tensorType("f32", [1, 2, 8, 4]);

/** A valid graph: an input, a state that is written, and two outputs. */
function valid() {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  const x = b.input("x", tensorType("f32", [1, 2, S, 4]));
  const start_pos = b.input("start_pos", tensorType("i64", [1]), [0]);
  const cache = b.state("cache", cacheType);
  const update = b.at("onnx:/update")("kv.update", { cache, new: x, start_pos });
  const negated = b("neg", { x: update });
  const { results } = b("topk", { x: negated, k: b.dims([2]) }, { axis: 3, largest: true }).node!;
  const doubled = b("add", { a: x, b: x });
  b.output("values", results[0]!);
  b.output("doubled", doubled);
  return { graph, b, x, start_pos, cache, update, negated, doubled, values: results[0]! };
}
type Parts = ReturnType<typeof valid>;

const elsewhere = (): Value => new Graph(coreOps).edit("test").input("far", tensorType("f32", [1, 2, S, 4]));

test("a valid graph has no fault", () => {
  expect(verifyGraph(valid().graph)).toEqual([]);
});

test("nor does one whose outputs are inputs, constants or sizes", () => {
  const { graph, b, x } = valid();
  b.output("x", x);
  b.output("constant", b.constant(inlineWeight(tensor("f32", [1]))));
  b.output("sizes", b.dims([S]));
  expect(verifyGraph(graph)).toEqual([]);
});

test("nor does one with leftovers that a sweep would take away", () => {
  const { graph, b, x } = valid();
  b("exp", { x });
  expect(verifyGraph(graph)).toEqual([]);
});

test.each<[string, (parts: Parts, b: Builder) => void, readonly string[]]>([
  [
    "an argument of another graph",
    ({ doubled, x }) => doubled.node!.replaceOperand(x, elsewhere()),
    [
      "add: an argument (input) is used before it is defined",
      "add: is not recorded as a user of its argument",
      "add: is recorded as a user of a value that it does not take",
    ],
  ],
  [
    "a user that is not recorded",
    ({ update, negated }) => update.mutableUsers().delete(negated.node!),
    ["neg: is not recorded as a user of its argument"],
  ],
  [
    "a user that is none",
    ({ start_pos, negated }) => start_pos.mutableUsers().add(negated.node!),
    ["neg: is recorded as a user of a value that it does not take"],
  ],
  [
    "a user of a constant that is none",
    ({ doubled, negated }, b) => {
      const one = b.constant(inlineWeight(tensor("f32", [], [1])));
      b.output("y", b("mul", { a: negated, b: one }));
      one.mutableUsers().add(doubled.node!);
    },
    ["add: is recorded as a user of a value that it does not take"],
  ],
  [
    "a state that is read directly",
    ({ cache }, b) => b.output("y", b.at("onnx:/read")("exp", { x: cache })),
    ["exp (onnx:/read): reads the state cache directly, not what was written to it"],
  ],
  [
    "a state that is read by what writes another",
    ({ cache, start_pos }, b) => {
      const other = b.state("other", cacheType);
      b("kv.update", { cache: other, new: cache, start_pos });
    },
    ["kv.update: reads the state cache directly, not what was written to it"],
  ],
  [
    "a state that is an output",
    ({ cache }, b) => b.output("y", cache),
    ["output y is the state cache itself"],
  ],
  [
    "a state that is written twice",
    ({ cache, x, start_pos }, b) => b("kv.update", { cache, new: x, start_pos }),
    ["kv.update: writes a state that another node writes too"],
  ],
  [
    "a write to what is no state",
    ({ x, start_pos }, b) => b("kv.update", { cache: b.input("past", cacheType), new: x, start_pos }),
    ["kv.update: cache is not a state"],
  ],
  [
    "a type that inference does not give",
    ({ doubled }) => doubled.refine(tensorType("f16", [S]), undefined),
    ["add: has type f16[S], inference says f32[1, 2, S, 4]"],
  ],
  [
    "a type of a second result",
    ({ values }) => values.node!.results[1]!.refine(tensorType("i32", [1, 2, 8, 2]), undefined),
    ["topk: has type i32[1, 2, 8, 2], inference says i64[1, 2, 8, 2]"],
  ],
  [
    "a result that is missing",
    ({ values }) => values.node!.setResults([values]),
    ["topk: has 1 results, inference says 2"],
  ],
  [
    "arguments that do not fit any more",
    ({ doubled, x }, b) => {
      const scores = b("softmax", { x: doubled }, { axis: 3 });
      b.output("scores", scores);
      b.replace(doubled, b("cast", { x }, { to: "i64" }), { retype: true });
      b.removeOutput("doubled");
    },
    ["softmax: x must be a float, and is i64"],
  ],
  [
    "attributes that the op does not take",
    ({ x }, b) => {
      const attrs = { scale: 1, causal: false, softcap: 0, window: 0 };
      b.output("y", b("nn.sdpa", { q: x, k: x, v: x }, attrs));
      b.retype(({ op }) => (op === "nn.sdpa" ? { ...attrs, softcap: -1 } : undefined));
    },
    ["nn.sdpa: softcap must be 0 or more, and is -1"],
  ],
  ["an output of another graph", (_, b) => b.output("y", elsewhere()), ["output y is not defined"]],
  [
    "names that several inputs, states or outputs share",
    ({ x }, b) => {
      b.input("x", tensorType("f32", []));
      b.input("x", tensorType("f32", []));
      b.state("cache", cacheType);
      b.output("doubled", x);
    },
    ["several inputs are called x", "several states are called cache", "several outputs are called doubled"],
  ],
  [
    "a node that depends on itself",
    ({ doubled }, b) => b.replace(doubled, b("neg", { x: doubled })),
    ["neg depends on itself"],
  ],
])("finds %s", (_, spoil, faults) => {
  const parts = valid();
  spoil(parts, parts.b);
  expect(verifyGraph(parts.graph)).toEqual(faults);
});
