import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import type { OpDef } from "../../src/ir/ops/op.ts";
import { tensorType } from "../../src/ir/type.ts";
import { inlineWeight, type WeightRef } from "../../src/ir/weights.ts";
import { backwardSlice, evaluate, leavesOf } from "../../src/passes/evaluate.ts";
import { addDims, multiplyDims, symbol } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";

const S = symbol("S", 64, 1);

function fresh(): { b: Builder; x: Value } {
  const b = new Graph(coreOps).edit("test");
  return { b, x: b.input("x", tensorType("f32", [S])) };
}
const vector = (...list: number[]): Tensor => tensor("f32", [list.length], list);
const constant = (b: Builder, ...list: number[]): Value => b.constant(inlineWeight(vector(...list)));

describe("evaluating", () => {
  test("computes a value from constants, inputs and sizes", async () => {
    const { b, x } = fresh();
    const doubled = b("add", { a: x, b: x });
    const sizes = b("mul", { a: b.dims([S, addDims(S, 1)]), b: b.dims([2]) });
    const repeated = b("expand", { x: b("mul", { a: doubled, b: constant(b, 10) }), shape: b.dims([2, S]) });
    const bindings = { symbols: new Map([["S", 3]]), inputs: new Map([[x, vector(1, 2, 3)]]) };
    expect(await evaluate(repeated, bindings)).toEqual(tensor("f32", [2, 3], [20, 40, 60, 20, 40, 60]));
    expect(await evaluate(sizes, bindings)).toEqual(tensor("i64", [2], [6, 8]));
  });

  test("gives any result of a node, and leaves themselves", async () => {
    const { b, x } = fresh();
    const topk = b.all("topk", { x: constant(b, 3, 9, 5), k: b.dims([2]) }, { axis: 0, largest: true });
    expect(await evaluate(topk[1]!)).toEqual(tensor("i64", [2], [1, 2]));
    expect(await evaluate(b("cast", { x: topk[1]! }, { to: "f32" }))).toEqual(vector(1, 2));
    expect(await evaluate(constant(b, 4))).toEqual(vector(4));
    expect(await evaluate(b.dims(multiplyDims(S, S)), { symbols: new Map([["S", 5]]) })).toEqual(
      tensor("i64", [], [25]),
    );
    expect(await evaluate(x, { inputs: new Map([[x, vector(7)]]) })).toEqual(vector(7));
  });

  test("takes lists, and leaves out what is left out", async () => {
    const { b, x } = fresh();
    const inputs = new Map([[x, vector(1, 2)]]);
    const joined = b("concat", { inputs: [x, constant(b, 8), b("neg", { x })] }, { axis: 0 });
    expect(await evaluate(joined, { inputs })).toEqual(vector(1, 2, 8, -1, -2));
    const row = b("reshape", { x, shape: b.dims([1, 2]) });
    const weight = b.constant(inlineWeight(tensor("f32", [1, 2], [3, 4])));
    expect(await evaluate(b("nn.linear", { x: row, weight }), { inputs })).toEqual(
      tensor("f32", [1, 1], [11]),
    );
  });

  test("prefers an input's known elements only where none are given", async () => {
    const { b } = fresh();
    const start = b.input("start_pos", tensorType("i64", [1]), [S]);
    const symbols = new Map([["S", 3]]);
    expect((await evaluate(start, { symbols })).data[0]).toBe(3);
    expect(
      (await evaluate(start, { symbols, inputs: new Map([[start, tensor("i64", [1], [9])]]) })).data[0],
    ).toBe(9);
  });

  test.each<[string, (b: Builder, x: Value) => Value, string]>([
    ["an input", (b, x) => b("neg", { x }), "x has no value here"],
    [
      "a state",
      (b) => b("neg", { x: b.state("kv.0.key", tensorType("f32", [1])) }),
      "kv.0.key has no value here",
    ],
    ["a size", (b) => b("expand", { x: constant(b, 1), shape: b.dims([S, S]) }), "S has no value here"],
  ])("fails for %s without a value", async (_, make, message) => {
    const { b, x } = fresh();
    await expect(evaluate(make(b, x))).rejects.toThrow(new RangeError(message));
  });

  test("reads a constant once, however often it is used", async () => {
    const { b } = fresh();
    let reads = 0;
    const ref: WeightRef = {
      id: "w",
      dtype: "f32",
      shape: [2],
      rows: async () => {
        reads++;
        return vector(1, 2);
      },
    };
    const w = b.constant(ref);
    const value = b("add", { a: b("mul", { a: w, b: w }), b: b("neg", { x: w }) });
    expect(await evaluate(value)).toEqual(vector(0, 2));
    expect(reads).toBe(1);
  });

  test("lets go of what is not needed any more", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const made: WeakRef<Tensor>[] = [];
    const step: OpDef = {
      doc: "Copies x, and notes the copy.",
      args: ["x", "probe?"],
      infer: ({ x }) => [(x as unknown as Value).type],
      kernel({ x }) {
        const { data, ...rest } = x as unknown as Tensor;
        const copy = { ...rest, data: data.slice() };
        made.push(new WeakRef(copy));
        return [copy];
      },
    };
    const b = new Graph(new Map([...coreOps, ["test.step", step]])).edit("test");
    const alive: boolean[] = [];
    const probe: WeightRef = {
      id: "probe",
      dtype: "f32",
      shape: [1],
      rows: async () => {
        // references are held to the end of the task that made them
        await new Promise((resolve) => setImmediate(resolve));
        collect();
        alive.push(...made.map((each) => each.deref() !== undefined));
        return vector(0);
      },
    };
    let value = constant(b, 1, 2, 3);
    for (let i = 0; i < 6; i++) value = b.untyped("test.step", { x: value }, {})[0]!;
    const last = b.untyped("test.step", { x: value, probe: b.constant(probe) }, {})[0]!;
    expect(await evaluate(last)).toEqual(vector(1, 2, 3));
    expect(alive.length).toBe(6);
    expect(alive.slice(0, 4)).toEqual([false, false, false, false]);
    expect(alive[5]).toBe(true);
  });
});

describe("what a value depends on", () => {
  test("are nodes, each after what it takes and once", () => {
    const { b, x } = fresh();
    const shared = b("exp", { x });
    const left = b("neg", { x: shared });
    b("abs", { x: shared });
    const value = b("add", { a: left, b: b("mul", { a: shared, b: left }) });
    const order = backwardSlice(value);
    expect(new Set(order).size).toBe(4);
    expect(order.map(({ op }) => op)).toEqual(expect.arrayContaining(["exp", "neg", "mul", "add"]));
    for (const [i, node] of order.entries())
      for (const operand of node.operands)
        if (operand.node) expect(order.slice(0, i)).toContain(operand.node);
    expect(backwardSlice(x)).toEqual([]);
  });

  test("are leaves, each once", () => {
    const { b, x } = fresh();
    const one = constant(b, 1);
    const sizes = b.dims([S]);
    const value = b("expand", { x: b("add", { a: b("mul", { a: x, b: one }), b: x }), shape: sizes });
    expect([...leavesOf(value)].sort((p, q) => p.id - q.id)).toEqual([x, one, sizes]);
    expect([...leavesOf(x)]).toEqual([x]);
  });
});
