import { describe, expect, test } from "vitest";
import { Graph } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { InferenceError } from "../../src/ir/ops/op.ts";
import { addDims, type Dim, dimKey, multiplyDims, subtractDims, symbol } from "../../src/tensor/dim.ts";
import { type Call, contentsOf, describeCall, info, sizes, titled } from "./harness.ts";

const seq = symbol("seq", 4096, 1);
const past = symbol("past", 4096);
const batch = symbol("batch", 16, 1);
const total = addDims(past, seq);
const far = 2 ** 63;

describe("known contents", () => {
  const shape = sizes(batch, seq, 256);
  const index = (...at: readonly number[]) => sizes(...at);
  const scalar = (dim: Dim) => info("i64", [], [dim]);
  const truth = (...values: readonly Dim[]) => info("bool", [values.length], values);

  test.each(
    titled<readonly [Call, readonly string[] | undefined]>(
      [
        [["gather", { x: shape, indices: info("i64", [], [1]) }, { axis: 0 }], ["seq"]],
        [
          ["gather", { x: shape, indices: index(-1, 0) }, { axis: 0 }],
          ["256", "batch"],
        ],
        [["gather_elements", { x: shape, indices: index(2) }, { axis: 0 }], ["256"]],
        [
          ["slice", { x: shape, starts: index(-2), ends: index(far) }, { axes: [0], steps: [1] }],
          ["seq", "256"],
        ],
        [
          ["slice", { x: shape, starts: index(-1), ends: index(-far) }, { axes: [0], steps: [-1] }],
          ["256", "seq", "batch"],
        ],
        [
          ["concat", { inputs: [sizes(batch), sizes(-1, 4)] }, { axis: 0 }],
          ["batch", "-1", "4"],
        ],
        [["reshape", { x: scalar(seq), shape: sizes(1) }], ["seq"]],
        [
          ["expand", { x: sizes(seq), shape: sizes(3) }],
          ["seq", "seq", "seq"],
        ],
        [
          ["tile", { x: sizes(seq, 2), repeats: sizes(2) }],
          ["seq", "2", "seq", "2"],
        ],
        [
          ["transpose", { x: info("i64", [2, 2], [1, seq, past, 4]) }, { perm: [1, 0] }],
          ["1", "past", "seq", "4"],
        ],
        [
          ["pad", { x: sizes(seq), pads: sizes(1, 1) }, { mode: "constant" }],
          ["0", "seq", "0"],
        ],
        [
          ["pad", { x: sizes(seq), pads: sizes(1, 0), value: scalar(past) }, { mode: "constant" }],
          ["past", "seq"],
        ],
        [
          ["triangle", { x: info("i64", [2, 2], [1, 2, 3, seq]) }, { upper: true }],
          ["1", "2", "0", "seq"],
        ],
        [
          [
            "scatter_nd",
            { x: shape, indices: info("i64", [1, 1], [1]), updates: sizes(7) },
            { reduction: "none" },
          ],
          ["batch", "7", "256"],
        ],
        [["add", { a: sizes(past), b: scalar(seq) }], ["past + seq"]],
        [["sub", { a: sizes(total), b: sizes(seq) }], ["past"]],
        [
          ["mul", { a: sizes(seq, 2), b: scalar(batch) }],
          ["batch*seq", "2*batch"],
        ],
        [
          ["div", { a: sizes(multiplyDims(seq, 64), -7), b: scalar(2) }],
          ["32*seq", "-3"],
        ],
        [["div", { a: sizes(subtractDims(past, 1)), b: sizes(2) }], undefined],
        [
          ["mod", { a: sizes(multiplyDims(seq, 4), -7, seq), b: scalar(4) }],
          ["0", "1", "mod(seq, 4)"],
        ],
        [
          ["neg", { x: shape }],
          ["-batch", "-seq", "-256"],
        ],
        [
          ["abs", { x: sizes(seq, -3, multiplyDims(seq, -1)) }],
          ["seq", "3", "seq"],
        ],
        [
          ["maximum", { a: sizes(seq, past), b: scalar(1) }],
          ["seq", "max(past, 1)"],
        ],
        [["minimum", { a: sizes(total), b: sizes(seq) }], ["seq"]],
        [
          ["equal", { a: sizes(seq, seq, 3), b: sizes(seq, -1, 3) }],
          ["1", "0", "1"],
        ],
        [["equal", { a: sizes(seq), b: sizes(3) }], undefined],
        [
          ["less", { a: sizes(0, past, seq), b: sizes(seq, total, seq) }],
          ["1", "1", "0"],
        ],
        [["less", { a: sizes(past), b: sizes(seq) }], undefined],
        [
          ["greater_equal", { a: sizes(total, 0), b: sizes(seq, seq) }],
          ["1", "0"],
        ],
        [
          ["where", { condition: truth(1, 0), a: sizes(seq, 1), b: sizes(1, past) }],
          ["seq", "past"],
        ],
        [["where", { condition: info("bool", [1]), a: sizes(seq), b: sizes(past) }], undefined],
        [
          ["and", { a: truth(1, 1, 0), b: truth(1, 0, 0) }],
          ["1", "0", "0"],
        ],
        [
          ["or", { a: truth(1, 1, 0), b: truth(1, 0, 0) }],
          ["1", "1", "0"],
        ],
        [
          ["xor", { a: truth(1, 1, 0), b: truth(1, 0, 0) }],
          ["0", "1", "0"],
        ],
        [
          ["not", { x: truth(1, 0) }],
          ["0", "1"],
        ],
        [
          ["cast", { x: sizes(seq, 2 ** 32 + 1) }, { to: "i32" }],
          ["seq", "1"],
        ],
        [
          ["cast", { x: sizes(seq, 0) }, { to: "bool" }],
          ["1", "0"],
        ],
        [["cast", { x: sizes(past) }, { to: "bool" }], undefined],
        [["cast", { x: sizes(seq) }, { to: "i8" }], undefined],
        [["cast", { x: sizes(seq) }, { to: "f32" }], undefined],
        [
          ["range", { start: scalar(past), limit: scalar(addDims(past, 3)), delta: scalar(1) }],
          ["past", "past + 1", "past + 2"],
        ],
        [["reduce_prod", { x: shape }, { axes: [0], keepdims: false }], ["256*batch*seq"]],
        [
          ["reduce_sum", { x: info("i64", [2, 2], [seq, 1, past, 2]) }, { axes: [0], keepdims: true }],
          ["past + seq", "3"],
        ],
        [["reduce_max", { x: sizes(seq, total) }, { axes: [-1], keepdims: false }], ["past + seq"]],
        [["add", { a: info("u8", [1], [250]), b: info("u8", [1], [10]) }], ["4"]],
        [["mul", { a: info("i32", [1], [2 ** 30]), b: info("i32", [1], [2 ** 30 + 1]) }], undefined],
      ],
      ([call]) => describeCall(call),
    ),
  )("%s", (_, call, expected) => {
    expect(contentsOf(...call)).toEqual(expected);
  });

  test("an index that is out of range is said at compile time", () => {
    const args = { x: shape, indices: index(3) };
    expect(() => contentsOf("gather", args, { axis: 0 })).toThrow(
      "Index 3 is outside an axis of 3 elements.",
    );
    expect(() => contentsOf("gather", args, { axis: 0 })).toThrow(InferenceError);
  });

  test("the shape arithmetic of an exported Expand resolves in a graph", () => {
    const graph = new Graph(coreOps);
    const b = graph.edit("test");
    const x = b.input("x", { dtype: "f32", shape: [1, 2, 1, seq, 64] });
    const target = b.dims([-1, 2, 3, seq, -1]);
    const isKept = b("equal", { a: target, b: b.dims(-1) });
    const ones = b("expand", { x: b.dims(1), shape: b.dims([5]) });
    const y = b("expand", { x, shape: b("where", { condition: isKept, a: ones, b: target }) });
    expect(y.type.shape.map(dimKey)).toEqual(["1", "2", "3", "seq", "64"]);
    const merged = b("reshape", { x: y, shape: b.dims([1, -1, seq, 64]) });
    expect(merged.type.shape.map(dimKey)).toEqual(["1", "6", "seq", "64"]);
  });
});
