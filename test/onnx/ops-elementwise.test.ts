import { describe, expect, test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { constant, elementsOf, floats, importOp, ints, opCounts, refusalOf, runOp } from "./op-harness.ts";

const infinity = Number.POSITIVE_INFINITY;

describe("arithmetic", () => {
  test("a power has the dtype of its base, and an integer to a float is truncated", async () => {
    const base = tensor("i32", [3], [2, 3, 10]);
    const [y] = await runOp("Pow", { inputs: [base, floats([3], 0.5, 2, -1)] });
    expect([y!.dtype, ...y!.data]).toEqual(["i32", 1, 9, 0]);
    const squares = { inputs: [floats([2], 1.5, -3), constant(tensor("i64", [], [2]))] };
    expect(await elementsOf("Pow", squares)).toEqual([2.25, 9]);
  });

  test("modulo has the sign of the divisor, with fmod that of the dividend", async () => {
    const inputs = [tensor("i32", [3], [-7, 7, -7]), tensor("i32", [3], [3, -3, -3])];
    expect(await elementsOf("Mod", { inputs })).toEqual([2, -2, -1]);
    expect(await elementsOf("Mod", { inputs, attributes: { fmod: 1 } })).toEqual([-1, 1, -1]);
  });

  test("sums and means take any number of inputs", async () => {
    const inputs = [floats([2], 1, 2), floats([1], 3), floats([2, 1], 0, 6)];
    expect(await elementsOf("Sum", { inputs })).toEqual([4, 5, 10, 11]);
    expect(await elementsOf("Mean", { inputs: inputs.slice(0, 2) })).toEqual([2, 2.5]);
    expect(opCounts(importOp("Mean", { inputs: inputs.slice(0, 1) }))).toEqual({});
  });

  test("the upper bound of Clip wins; before opset 11 bounds are attributes", async () => {
    const x = floats([3], -5, 0, 5);
    const inputs = [x, constant(floats([], 2)), constant(floats([], 1))];
    expect(await elementsOf("Clip", { inputs })).toEqual([1, 1, 1]);
    const old = { inputs: [x], attributes: { min: -1 }, opset: 10 };
    expect(await elementsOf("Clip", old)).toEqual([-1, 0, 5]);
  });

  test("shifts go the way the node says", async () => {
    const inputs = [tensor("u8", [2], [200, 3]), tensor("u8", [2], [1, 2])];
    expect(await elementsOf("BitShift", { inputs, attributes: { direction: "LEFT" } })).toEqual([144, 12]);
    expect(await elementsOf("BitShift", { inputs, attributes: { direction: "RIGHT" } })).toEqual([100, 0]);
    expect(refusalOf("BitShift", { inputs, attributes: { direction: "UP" } })).toContain('direction "UP"');
  });

  test("a cast to a type that the IR lacks is refused by its name", () => {
    expect(refusalOf("Cast", { inputs: [floats([1], 1)], attributes: { to: 17 } })).toContain("float8e4m3fn");
  });
});

describe("activations", () => {
  test("they do not overflow where they are linear", async () => {
    const inputs = [floats([3], -1000, 0, 1000)];
    expect(await elementsOf("Softplus", { inputs })).toEqual([0, Math.fround(Math.log(2)), 1000]);
    expect(await elementsOf("Elu", { inputs, attributes: { alpha: 2 } })).toEqual([-2, 0, 1000]);
    expect(await elementsOf("Mish", { inputs })).toEqual([-0, 0, 1000]);
  });

  test("an alpha other than 1 keeps Swish from being silu", async () => {
    const inputs = [floats([1], 2)];
    expect(opCounts(importOp("Swish", { inputs }))).toEqual({ "nn.silu": 1 });
    const [y] = await elementsOf("Swish", { inputs, attributes: { alpha: 0.5 } });
    expect(y).toBeCloseTo(2 / (1 + Math.exp(-1)), 6);
  });

  test("before opset 13 softmax runs over all axes from the given one on", async () => {
    const inputs = [floats([1, 2, 2], 0, 0, 0, Math.log(5))];
    const old = await elementsOf("Softmax", { inputs, attributes: { axis: 1 }, opset: 11 });
    expect(old.map((p) => Math.round(p * 80))).toEqual([10, 10, 10, 50]);
    const now = await elementsOf("Softmax", { inputs, attributes: { axis: 1 }, opset: 13 });
    expect(now.map((p) => Math.round(p * 60))).toEqual([30, 10, 30, 50]);
  });

  test("of equal maxima Hardmax takes the first", async () => {
    const inputs = [floats([2, 3], 1, 3, 3, 2, 2, 2)];
    expect(await elementsOf("Hardmax", { inputs })).toEqual([0, 1, 0, 1, 0, 0]);
  });

  test("the logarithm of softmax is finite for large inputs", async () => {
    expect(await elementsOf("LogSoftmax", { inputs: [floats([2], 1000, 0)] })).toEqual([0, -1000]);
  });
});

describe("reductions", () => {
  const x = floats([2, 2], 1, -2, 3, -4);

  test("axes are an attribute first and an input later", async () => {
    const old = { inputs: [x], attributes: { axes: [1], keepdims: 0 }, opset: 11 };
    expect(await elementsOf("ReduceL1", old)).toEqual([3, 7]);
    const now = { inputs: [x, ints(-2)], opset: 18 };
    const [y] = await runOp("ReduceSumSquare", now);
    expect([y!.shape, ...y!.data]).toEqual([[1, 2], 10, 20]);
  });

  test("empty axes mean all of them, or none if the node says so, whatever else is computed", async () => {
    const empty = constant(tensor("i64", [0], []));
    expect(await elementsOf("ReduceSum", { inputs: [x, empty] })).toEqual([-2]);
    const attributes = { noop_with_empty_axes: 1 };
    expect(await elementsOf("ReduceSumSquare", { inputs: [x, empty], attributes })).toEqual([1, 4, 9, 16]);
  });

  test("the logarithm of a sum of exponentials stands infinities", async () => {
    const rows = floats([3, 2], -infinity, -infinity, infinity, 0, 1000, 1000);
    const y = await elementsOf("ReduceLogSumExp", { inputs: [rows, ints(1)], attributes: { keepdims: 0 } });
    expect(y).toEqual([-infinity, infinity, Math.fround(1000 + Math.log(2))]);
  });

  test("norms of integers are integers", async () => {
    const inputs = [tensor("i32", [3], [3, 4, 1]), ints(0)];
    const [y] = await runOp("ReduceL2", { inputs });
    expect([y!.dtype, ...y!.data]).toEqual(["i32", 5]);
  });

  test("k is an attribute first and an input later", async () => {
    const inputs = [floats([4], 1, 4, 2, 4)];
    const outputs = ["values", "indices"];
    const old = await runOp("TopK", { inputs, outputs, attributes: { k: 2 }, opset: 9 });
    expect(old.map(({ data }) => [...data])).toEqual([
      [4, 4],
      [1, 3],
    ]);
    const smallest = { inputs: [...inputs, ints(1)], outputs, attributes: { largest: 0 } };
    expect((await runOp("TopK", smallest)).map(({ data }) => [...data])).toEqual([[1], [0]]);
  });
});
