import { describe, expect, test } from "vitest";
import { InferenceError } from "../../src/ir/ops/op.ts";
import { broadcastDims, reshapedShape, sliceLength } from "../../src/ir/ops/shapes.ts";
import { inlineWeight, mapRows, readWeight } from "../../src/ir/weights.ts";
import {
  addDims,
  type Dim,
  dimKey,
  floorDivideDims,
  minDims,
  multiplyDims,
  symbol,
} from "../../src/tensor/dim.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { type Call, definition, describeCall, inferred, info, list, sizes, titled } from "./harness.ts";

const seq = symbol("seq", 4096, 1);
const past = symbol("past", 4096);
const batch = symbol("batch", 16, 1);
const large = symbol("large", 9000, 5000);
const total = addDims(past, seq);
const keys = (dims: readonly Dim[]) => dims.map(dimKey);
const f32 = (...shape: readonly Dim[]) => info("f32", shape);
const far = 2 ** 63;

describe("broadcasting of sizes", () => {
  const opaque = minDims(total, symbol("limit", 4096));
  test.each(
    titled<readonly [Dim, Dim, Dim]>(
      [
        [1, seq, seq],
        [seq, 1, seq],
        [seq, seq, seq],
        [seq, 8, 8],
        [8, batch, 8],
        [total, symbol("s2", 4096), symbol("s2")],
        [seq, total, seq],
        [total, seq, seq],
        [batch, seq, batch],
        [opaque, total, total],
        // certainly different, but one of them may be 1
        [seq, large, large],
        [large, seq, large],
      ],
      ([a, b]) => `${dimKey(a)} and ${dimKey(b)}`,
    ),
  )("%s", (_, a, b, expected) => {
    expect(dimKey(broadcastDims(a, b))).toBe(dimKey(expected));
  });

  test("certainly different sizes are refused", () => {
    for (const [a, b] of [
      [2, 3],
      [large, 8],
      [large, addDims(large, 1)],
    ] as const)
      expect(() => broadcastDims(a, b)).toThrow(InferenceError);
    expect(() => inferred("add", { a: f32(seq, 2), b: f32(seq, 3) })).toThrow(
      "shapes [seq, 2] and [seq, 3] do not broadcast",
    );
  });
});

describe("reshape", () => {
  test.each(
    titled<readonly [readonly Dim[], readonly Dim[], readonly Dim[]]>(
      [
        [
          [batch, seq, 256],
          [batch, seq, 4, 64],
          [batch, seq, 4, 64],
        ],
        [
          [batch, seq, 256],
          [batch, seq, -1, 64],
          [batch, seq, 4, 64],
        ],
        [
          [batch, seq, 4, 64],
          [batch, seq, -1],
          [batch, seq, 256],
        ],
        [
          [batch, seq, 256],
          [-1, 256],
          [multiplyDims(batch, seq), 256],
        ],
        [
          [batch, total, 64],
          [total, -1],
          [total, multiplyDims(batch, 64)],
        ],
        [
          [1, 2, total, 64],
          [2, -1, 64],
          [2, total, 64],
        ],
        [[seq], [1, -1, 1], [1, seq, 1]],
        [
          [0, 4],
          [0, -1],
          [0, 0],
        ],
        [
          [total, 6],
          [seq, -1],
          [seq, floorDivideDims(multiplyDims(total, 6), seq)],
        ],
      ],
      ([from, to]) => `${list(from)} as ${list(to)}`,
    ),
  )("%s", (_, shape, target, expected) => {
    expect(keys(reshapedShape(shape, target))).toEqual(keys(expected));
  });

  test("a shape that cannot fit is refused", () => {
    expect(() => reshapedShape([2, 3], [7])).toThrow("[2, 3] has no shape [7]");
    expect(() => reshapedShape([2, 3], [-1, 4])).toThrow(InferenceError);
    expect(() => reshapedShape([6], [-1, -1])).toThrow(InferenceError);
    expect(() => reshapedShape([6], [-6, -1])).toThrow(InferenceError);
    expect(() => reshapedShape([seq, 4], [multiplyDims(seq, 5)])).toThrow(InferenceError);
    expect(() => inferred("reshape", { x: f32(4), shape: info("i64", [1]) })).toThrow(
      "needs the shape to be known at compile time",
    );
  });
});

describe("slice", () => {
  test.each(
    titled<readonly [Dim, Dim, Dim, number, string]>(
      [
        [seq, 0, far, 1, "seq"],
        [total, past, far, 1, "seq"],
        [total, past, total, 1, "seq"],
        [total, 0, seq, 1, "seq"],
        [total, multiplyDims(seq, -1), far, 1, "seq"],
        [large, -5, far, 1, "5"],
        [large, 0, 10, 1, "10"],
        [large, 10, 30, 1, "20"],
        [large, 0, -1, 1, "large - 1"],
        [large, 1, far, 1, "large - 1"],
        [large, -far, far, 1, "large"],
        [large, -far, far, 2, "floordiv(large + 1, 2)"],
        [large, -1, -far, -1, "large"],
        [large, 5, 1, -2, "2"],
        [seq, -1, far, 1, "1"],
        [past, -1, far, 1, "min(past, 1)"],
        [past, 0, 10, 1, "min(past, 10)"],
        [past, 3, far, 1, "max(past - 3, 0)"],
        [10, 0, seq, 1, "min(seq, 10)"],
        [10, 7, 3, 1, "0"],
      ],
      ([size, start, end, step]) => `${dimKey(size)} [${dimKey(start)}:${dimKey(end)}:${step}]`,
    ),
  )("%s", (_, size, start, end, step, expected) => {
    expect(dimKey(sliceLength(size, start, end, step))).toBe(expected);
  });

  test("of plain numbers agrees with JavaScript's own", () => {
    const axis = [0, 1, 2, 3, 4];
    const bounds = [-far, -7, -5, -2, -1, 0, 1, 3, 5, 8, far];
    for (const start of bounds)
      for (const end of bounds)
        for (const step of [1, 2, 3]) {
          const expected = axis.slice(start, end).filter((_, i) => i % step === 0);
          expect(sliceLength(5, start, end, step)).toBe(expected.length);
        }
  });

  test("in a graph of several axes", () => {
    const args = { x: f32(batch, total, 64), starts: sizes(past, 32), ends: sizes(far, far) };
    expect(inferred("slice", args, { axes: [1, -1], steps: [1, 1] })).toBe("f32[batch, seq, 32]");
    expect(() => inferred("slice", args, { axes: [1], steps: [1] })).toThrow(
      "starts must have 1 elements, not 2",
    );
    expect(() => inferred("slice", args, { axes: [1, -2], steps: [1, 1] })).toThrow("name one axis twice");
    expect(() => inferred("slice", args, { axes: [1, 3], steps: [1, 1] })).toThrow("there is no axis 3");
  });
});

test.each(
  titled<readonly [Call, string]>(
    [
      [["add", { a: f32(batch, 1, 256), b: f32(seq, 256) }], "f32[batch, seq, 256]"],
      [["less", { a: f32(seq, 1), b: f32(1, total) }], "bool[seq, past + seq]"],
      [["pow", { a: f32(seq), b: info("i64", []) }], "f32[seq]"],
      [
        ["where", { condition: info("bool", [seq, total]), a: f32(1, total), b: f32() }],
        "f32[seq, past + seq]",
      ],
      [["cast", { x: f32(seq) }, { to: "f16" }], "f16[seq]"],
      [["is_nan", { x: f32(seq) }], "bool[seq]"],
      [
        ["expand", { x: f32(1, 2, total, 64), shape: sizes(batch, 1, 1, 1) }],
        "f32[batch, 2, past + seq, 64]",
      ],
      [["expand", { x: f32(1, 2, 1, seq), shape: sizes(2, 2, seq) }], "f32[1, 2, 2, seq]"],
      [["transpose", { x: f32(batch, seq, 4) }, { perm: [2, 0, 1] }], "f32[4, batch, seq]"],
      [["concat", { inputs: [f32(1, past, 4), f32(1, seq, 4)] }, { axis: -2 }], "f32[1, past + seq, 4]"],
      [["concat", { inputs: [f32(batch, 2), f32(3, 2)] }, { axis: 1 }], "f32[3, 4]"],
      [["pad", { x: f32(seq, 4), pads: sizes(1, 0, 2, -1) }, { mode: "constant" }], "f32[seq + 3, 3]"],
      [["tile", { x: f32(seq, 4), repeats: sizes(2, batch) }], "f32[2*seq, 4*batch]"],
      [["range", { start: sizes(past), limit: sizes(total), delta: sizes(1) }], "i64[seq]"],
      [["range", { start: sizes(0), limit: sizes(seq), delta: sizes(2) }], "i64[floordiv(seq + 1, 2)]"],
      [["range", { start: sizes(9), limit: sizes(-1), delta: sizes(-3) }], "i64[4]"],
      [["range", { start: sizes(3), limit: sizes(3), delta: sizes(seq) }], "i64[0]"],
      [["triangle", { x: f32(seq, total), k: info("i64", []) }, { upper: true }], "f32[seq, past + seq]"],
      [["reduce_sum", { x: f32(batch, seq, 4) }, { axes: [-1], keepdims: true }], "f32[batch, seq, 1]"],
      [["reduce_max", { x: f32(batch, seq, 4) }, { axes: [0, 2], keepdims: false }], "f32[seq]"],
      [["argmax", { x: f32(batch, seq, 9) }, { axis: -1, keepdims: false, last: false }], "i64[batch, seq]"],
      [["cumsum", { x: info("i64", [seq]) }, { axis: 0, exclusive: false, reverse: false }], "i64[seq]"],
      [["topk", { x: f32(seq, 9), k: sizes(4) }, { axis: 1, largest: true }], "f32[seq, 4]; i64[seq, 4]"],
      [["gather", { x: f32(99, 8), indices: info("i64", [batch, seq]) }, { axis: 0 }], "f32[batch, seq, 8]"],
      [["gather", { x: f32(batch, seq), indices: info("i64", []) }, { axis: 1 }], "f32[batch]"],
      [["gather_elements", { x: f32(seq, 9), indices: info("i64", [seq, 2]) }, { axis: 1 }], "f32[seq, 2]"],
      [
        ["gather_nd", { x: f32(batch, seq, 9), indices: info("i64", [4, 2]) }, { batch_dims: 0 }],
        "f32[4, 9]",
      ],
      [
        ["gather_nd", { x: f32(batch, seq, 9), indices: info("i64", [batch, 1]) }, { batch_dims: 1 }],
        "f32[batch, 9]",
      ],
      [
        [
          "scatter_nd",
          { x: f32(total, 4), indices: info("i64", [seq, 1]), updates: f32(seq, 4) },
          { reduction: "none" },
        ],
        "f32[past + seq, 4]",
      ],
      [["nonzero", { x: f32(seq, 4) }, { size: "found" }], "i64[2, found]"],
    ],
    ([call]) => describeCall(call),
  ),
)("%s", (_, call, expected) => {
  expect(inferred(...call)).toBe(expected);
});

test.each(
  titled<readonly [Call, string]>(
    [
      [["add", { a: f32(2), b: info("i64", [2]) }], "a is f32 and b is i64, which must be one dtype"],
      [["and", { a: f32(2), b: f32(2) }], "a and b must be bools"],
      [["add", { a: info("bool", []), b: info("bool", []) }], "a and b must be numbers"],
      [["exp", { x: info("i64", [2]) }], "x must be a float"],
      [["not", { x: f32(2) }], "x must be bool"],
      [["where", { condition: f32(1), a: f32(1), b: f32(1) }], "the condition must be bool"],
      [["cast", { x: info("tq2_0", [2]) }, { to: "f32" }], "packed ternary blocks are not cast"],
      [["transpose", { x: f32(2, 3) }, { perm: [0, 0] }], "[0, 0] is no permutation of 2 axes"],
      [["concat", { inputs: [] }, { axis: 0 }], "needs one input at least"],
      [["concat", { inputs: [f32(2, 3), f32(2, 4)] }, { axis: 0 }], "sizes 3 and 4 of axis 1 differ"],
      [["concat", { inputs: [f32(2), info("i64", [2])] }, { axis: 0 }], "must be one dtype"],
      [["expand", { x: f32(2), shape: sizes(-1) }], "the shape [-1] has a negative size"],
      [
        ["pad", { x: f32(2), pads: sizes(-2, -1) }, { mode: "constant" }],
        "the padded shape [-1] has a negative size",
      ],
      [["tile", { x: f32(2, 2), repeats: sizes(2) }], "repeats must have 2 elements, not 1"],
      [["range", { start: f32(), limit: f32(), delta: f32() }], "needs start to be known at compile time"],
      [
        ["range", { start: sizes(0), limit: sizes(1), delta: sizes(0) }],
        "a range with a step of 0 does not end",
      ],
      [["triangle", { x: f32(2) }, { upper: true }], "x must have two axes at least"],
      [
        ["reduce_sum", { x: f32(2, 3) }, { axes: [2], keepdims: true }],
        "there is no axis 2 in a tensor of rank 2",
      ],
      [["reduce_sum", { x: info("bool", [2]) }, { axes: [0], keepdims: true }], "x must be a number"],
      [["topk", { x: f32(3), k: sizes(4) }, { axis: 0, largest: true }], "k is 4, the axis has 3 elements"],
      [["gather", { x: f32(3), indices: f32(1) }, { axis: 0 }], "indices must be integers"],
      [
        ["gather_elements", { x: f32(3, 2), indices: info("i64", [4, 1]) }, { axis: 1 }],
        "indices have more elements than x along axis 0",
      ],
      [
        ["gather_nd", { x: f32(3), indices: info("i64", [1, 2]) }, { batch_dims: 0 }],
        "indices name 2 axes of x, which has 1",
      ],
      [
        [
          "scatter_nd",
          { x: f32(3, 2), indices: info("i64", [5, 1]), updates: f32(5, 3) },
          { reduction: "add" },
        ],
        "updates have shape [5, 3], which must be [5, 2]",
      ],
    ],
    ([call]) => `${describeCall(call)} is refused`,
  ),
)("%s", (_, call, message) => {
  expect(() => inferred(...call)).toThrow(InferenceError);
  expect(() => inferred(...call)).toThrow(message);
});

describe("views of constants", () => {
  const weight = inlineWeight(tensor("f32", [2, 3], [1.5, -2.5, 3, 4, 5, 6]));
  const lazy = mapRows(weight, "same", weight, (chunk) => chunk);
  test.each([
    ["reshape", {}, "f32", [3, 2], [1.5, -2.5, 3, 4, 5, 6]],
    ["transpose", { perm: [1, 0] }, "f32", [3, 2], [1.5, 4, -2.5, 5, 3, 6]],
    ["cast", { to: "i64" }, "i64", [2, 3], [1, -2, 3, 4, 5, 6]],
  ] as const)("%s", async (op, attrs, dtype, shape, expected) => {
    const view = definition(op).view!(lazy, attrs, { dtype, shape })!;
    expect([view.dtype, view.shape]).toEqual([dtype, shape]);
    const { data, ...type } = await readWeight(view);
    expect(type).toEqual({ dtype, shape });
    expect(Array.from(data)).toEqual(expected);
  });
  test("a transpose that changes nothing is none", () => {
    expect(definition("transpose").view!(lazy, { perm: [0, 1] }, lazy)).toBeUndefined();
  });
});
