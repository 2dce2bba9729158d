import { describe, expect, test } from "vitest";
import { formatType } from "../../src/ir/type.ts";
import { addDims, dimKey, symbol } from "../../src/tensor/dim.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import {
  constant,
  elementsOf,
  floats,
  importOp,
  ints,
  type OpCall,
  opCounts,
  refusalOf,
  runOp,
  sample,
} from "./op-harness.ts";

const [batch, length] = [symbol("batch"), symbol("length")];
const sequence = { dtype: "f32", shape: [batch, length, 8] } as const;

const typeOf = (opType: string, call: OpCall): string =>
  importOp(opType, call)
    .results.map(({ type }) => formatType(type))
    .join(" ");
const contentsOf = (opType: string, call: OpCall) => importOp(opType, call).results[0]!.contents?.map(dimKey);

describe("shapes", () => {
  test("reshape copies a size for 0 and works out the one that is -1", () => {
    expect(typeOf("Reshape", { inputs: [sequence, ints(0, -1, 2, 4)] })).toBe("f32[batch, length, 2, 4]");
    expect(typeOf("Reshape", { inputs: [sequence, ints(-1, 8)] })).toBe("f32[batch*length, 8]");
    const empty = { inputs: [floats([0, 2]), ints(2, 0)], attributes: { allowzero: 1 } };
    expect(typeOf("Reshape", empty)).toBe("f32[2, 0]");
    expect(refusalOf("Reshape", { inputs: [floats([2], 1, 2), ints(1, 0)] })).toContain(
      "size 1 of the shape",
    );
  });

  test("a shape is made of sizes, and its ends are clamped", () => {
    expect(contentsOf("Shape", { inputs: [sequence] })).toEqual(["batch", "length", "8"]);
    expect(contentsOf("Shape", { inputs: [sequence], attributes: { start: -2, end: 9 } })).toEqual([
      "length",
      "8",
    ]);
    expect(contentsOf("Size", { inputs: [sequence] })).toEqual(["8*batch*length"]);
  });

  test("axes are attributes before opset 13", () => {
    expect(typeOf("Unsqueeze", { inputs: [sequence, ints(-1, 0)] })).toBe("f32[1, batch, length, 8, 1]");
    const old = { inputs: [sequence], attributes: { axes: [1] }, opset: 11 };
    expect(typeOf("Unsqueeze", old)).toBe("f32[batch, 1, length, 8]");
    expect(typeOf("Squeeze", { inputs: [floats([1, 2, 1], 1, 2)] })).toBe("f32[2]");
    expect(typeOf("Squeeze", { inputs: [floats([1, 2, 1], 1, 2), ints(-1)] })).toBe("f32[1, 2]");
    expect(refusalOf("Unsqueeze", { inputs: [sequence, ints(5)] })).toContain("axis 5");
  });

  test("expand broadcasts both ways", () => {
    const x = { dtype: "f32", shape: [batch, 1, 4] } as const;
    expect(typeOf("Expand", { inputs: [x, ints(1, 3, 1)] })).toBe("f32[batch, 3, 4]");
    expect(typeOf("Expand", { inputs: [x, ints(2, 1, 1, 1)] })).toBe("f32[2, batch, 1, 4]");
  });

  test("flatten takes any axis from -rank to rank", () => {
    const typesByAxis = [-1, 0, 3].map((axis) =>
      typeOf("Flatten", { inputs: [sequence], attributes: { axis } }),
    );
    expect(typesByAxis).toEqual(["f32[batch*length, 8]", "f32[1, 8*batch*length]", "f32[8*batch*length, 1]"]);
  });

  test("depth goes to space block by block, and back", async () => {
    const x = tensor("f32", [1, 4, 1, 1], [1, 2, 3, 4]);
    const [y] = await runOp("DepthToSpace", { inputs: [x], attributes: { blocksize: 2 } });
    expect([y!.shape, ...y!.data]).toEqual([[1, 1, 2, 2], 1, 2, 3, 4]);
    expect(await elementsOf("SpaceToDepth", { inputs: [y!], attributes: { blocksize: 2 } })).toEqual([
      1, 2, 3, 4,
    ]);
  });
});

describe("slices", () => {
  const x = floats([6], 0, 1, 2, 3, 4, 5);

  test("the largest and smallest integers mean the ends, and negative steps go backwards", async () => {
    const largest = 2 ** 63;
    expect(await elementsOf("Slice", { inputs: [x, ints(2), ints(largest)] })).toEqual([2, 3, 4, 5]);
    const backwards = [x, ints(-1), ints(-largest), ints(0), ints(-2)];
    expect(await elementsOf("Slice", { inputs: backwards })).toEqual([5, 3, 1]);
    expect(await elementsOf("Slice", { inputs: [x, ints(-3), ints(-1)] })).toEqual([3, 4]);
    const old = { inputs: [x], attributes: { starts: [1], ends: [3] }, opset: 9 };
    expect(await elementsOf("Slice", old)).toEqual([1, 2]);
  });

  test("to the end of a symbolic axis takes its size, and all of it is no slice", () => {
    const from = { inputs: [sequence, ints(1), ints(2 ** 31 - 1), ints(-1)] };
    expect(typeOf("Slice", from)).toBe("f32[batch, length, 7]");
    expect(opCounts(importOp("Slice", { inputs: [sequence, ints(0), ints(2 ** 63), ints(1)] }))).toEqual({});
  });

  test("splits may be uneven, and the sizes given", async () => {
    const outputs = ["a", "b", "c", "d"];
    const even = await runOp("Split", { inputs: [x], outputs, attributes: { num_outputs: 4 } });
    expect(even.map(({ data }) => [...data])).toEqual([[0, 1], [2, 3], [4, 5], []]);
    const given = { inputs: [x, ints(1, 0, 5)], outputs: outputs.slice(1) };
    expect((await runOp("Split", given)).map(({ data }) => data.length)).toEqual([1, 0, 5]);
    const symbolic = { inputs: [sequence], outputs: ["a", "b"], attributes: { axis: -1 }, opset: 13 };
    expect(typeOf("Split", symbolic)).toBe("f32[batch, length, 4] f32[batch, length, 4]");
  });

  test("only the named axes are padded", async () => {
    const inputs = [floats([1, 2], 1, 2), ints(1, 2), constant(floats([], 7)), ints(-1)];
    expect(await elementsOf("Pad", { inputs })).toEqual([7, 1, 2, 7, 7]);
    const old = { inputs: [floats([2], 1, 2)], attributes: { pads: [0, 1], value: 3 }, opset: 10 };
    expect(await elementsOf("Pad", old)).toEqual([1, 2, 3]);
    expect(refusalOf("Pad", { inputs, attributes: { mode: "mirror" } })).toContain('mode "mirror"');
  });
});

describe("generated tensors", () => {
  test("a range of floats must be known, and one of integers may go down", async () => {
    const steps = [0.5, 2.1, 0.5].map((value) => constant(floats([], value)));
    expect(await elementsOf("Range", { inputs: steps })).toEqual([0.5, 1, 1.5, 2]);
    const whole = [5, 1, -2].map((value) => constant(tensor("i64", [], [value])));
    expect(await elementsOf("Range", { inputs: whole })).toEqual([5, 3]);
    expect(refusalOf("Range", { inputs: [steps[0], floats([], 2), steps[2]] })).toContain("compile time");
  });

  test("a constant of a shape has the dtype of its element", () => {
    const value = tensor("bool", [1], [1]);
    const imported = importOp("ConstantOfShape", { inputs: [ints(2, 3)], attributes: { value } });
    expect(imported.results.map(({ type }) => formatType(type))).toEqual(["bool[2, 3]"]);
    expect(typeOf("ConstantOfShape", { inputs: [ints()] })).toBe("f32[]");
  });

  test("one-hot counts negative indices from the end and ignores those out of range", async () => {
    const inputs = [tensor("i64", [3], [1, -1, 5]), ints(3), constant(floats([2], -1, 4))];
    expect(await elementsOf("OneHot", { inputs })).toEqual([-1, 4, -1, -1, -1, 4, -1, -1, -1]);
    const [y] = await runOp("OneHot", { inputs, attributes: { axis: 0 } });
    expect([...y!.data.subarray(0, 3)]).toEqual([-1, -1, -1]);
  });

  test("the diagonal of ones is where the node says, in the dtype it says", async () => {
    const [y] = await runOp("EyeLike", { inputs: [sample([2, 3])], attributes: { k: 1, dtype: 6 } });
    expect([y!.dtype, ...y!.data]).toEqual(["i32", 0, 1, 0, 0, 0, 1]);
  });

  test("dropout keeps everything, and its mask says so", async () => {
    const x = floats([2], 1, 2);
    const results = await runOp("Dropout", {
      inputs: [x, constant(floats([], 0.5))],
      outputs: ["y", "mask"],
    });
    expect(results.map(({ dtype, data }) => [dtype, ...data])).toEqual([
      ["f32", 1, 2],
      ["bool", 1, 1],
    ]);
    const training = [x, constant(floats([], 0.5)), constant(tensor("bool", [], [1]))];
    expect(refusalOf("Dropout", { inputs: training })).toContain("at random");
    expect(await elementsOf("Dropout", { inputs: training.with(1, constant(floats([], 0))) })).toEqual([
      1, 2,
    ]);
  });
});

describe("indices", () => {
  test("compress keeps the rows for which the condition holds", async () => {
    const inputs = [floats([3, 2], 1, 2, 3, 4, 5, 6), constant(tensor("bool", [3], [1, 0, 1]))];
    expect(await elementsOf("Compress", { inputs, attributes: { axis: 0 } })).toEqual([1, 2, 5, 6]);
    expect(await elementsOf("Compress", { inputs })).toEqual([1, 3]);
  });

  test("each node that counts nonzero elements has a symbol of its own", () => {
    const x = { dtype: "f32", shape: [4] } as const;
    const counts = ["y", "/a/NonZero_output_0"].map((name) => {
      const { type } = importOp("NonZero", { inputs: [x], outputs: [name] }).results[0]!;
      return dimKey(type.shape[1]!);
    });
    expect(new Set(counts).size).toBe(2);
    for (const name of counts) expect(name).toMatch(/^[A-Za-z_]\w*$/);
  });

  test("new rows are written from each batch's own index on, and wrap around in circular mode", async () => {
    const cache = tensor("f32", [2, 4, 1]);
    const update = tensor("f32", [2, 2, 1], [1, 2, 3, 4]);
    const at = (...indices: number[]) => tensor("i64", [2], indices);
    const linear = await elementsOf("TensorScatter", { inputs: [cache, update, at(0, 2)], opset: 24 });
    expect(linear).toEqual([1, 2, 0, 0, 0, 0, 3, 4]);
    const call = { inputs: [cache, update, at(3, 1)], attributes: { mode: "circular" }, opset: 24 };
    expect(await elementsOf("TensorScatter", call)).toEqual([2, 0, 0, 1, 0, 3, 4, 0]);
  });

  test("a cache of symbolic length stays one", () => {
    const cache = { dtype: "f32", shape: [1, 2, addDims(length, 4), 8] } as const;
    const update = { dtype: "f32", shape: [1, 2, length, 8] } as const;
    expect(typeOf("TensorScatter", { inputs: [cache, update], opset: 24 })).toBe("f32[1, 2, length + 4, 8]");
  });
});
