import { describe, expect, test } from "vitest";
import { movementKernels } from "../../src/runtime/cpu/kernels/movement.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { at, atBroadcast, elements, floats, indicesOf, randomTensor, run, vector } from "./harness.ts";

/** Elements that say where they were: 0, 1, 2, … */
const iota = (...shape: readonly number[]): Tensor => {
  const count = shape.reduce((n, size) => n * size, 1);
  return tensor(
    "i64",
    shape,
    Array.from({ length: count }, (_, i) => i),
  );
};
const far = 2 ** 63;

describe("reshape", () => {
  test.each([
    [
      [2, 6],
      [3, 4],
      [3, 4],
    ],
    [[2, 6], [-1], [12]],
    [
      [2, 6],
      [4, -1, 1],
      [4, 3, 1],
    ],
    [[], [1, 1], [1, 1]],
    [[1], [], []],
    [
      [0, 3],
      [3, 0],
      [3, 0],
    ],
    [
      [0, 3],
      [0, -1],
      [0, 0],
    ],
  ])("%j as %j", (shape, target, expected) => {
    const x = randomTensor("f32", shape);
    const [result] = run("reshape", { x, shape: vector(...target) });
    expect(result!.shape).toEqual(expected);
    expect(result!.data).toEqual(x.data);
  });

  test("another number of elements is refused", () => {
    for (const target of [[5], [4, -1]]) {
      const args = { x: iota(2, 3), shape: vector(...target) };
      expect(() => movementKernels.reshape(args, {})).toThrow(RangeError);
      expect(() => run("reshape", args)).toThrow();
    }
  });
});

describe("expand", () => {
  test.each([
    [
      [3, 1],
      [3, 4],
      [3, 4],
    ],
    [[3, 1], [1], [3, 1]],
    [
      [3, 1],
      [2, 1, 6],
      [2, 3, 6],
    ],
    [[], [2, 2], [2, 2]],
    [
      [2, 1, 3],
      [5, 1],
      [2, 5, 3],
    ],
    [
      [1, 3],
      [0, 1],
      [0, 3],
    ],
  ])("%j to %j", (shape, target, expected) => {
    const x = iota(...shape);
    const [result] = run("expand", { x, shape: vector(...target) });
    expect(result!.shape).toEqual(expected);
    expect(Array.from(result!.data)).toEqual(indicesOf(expected).map((index) => atBroadcast(x, index)));
  });
});

test.each([
  [[0]],
  [[1, 0]],
  [[0, 1]],
  [[2, 0, 1]],
  [[1, 2, 0]],
  [[0, 2, 1]],
  [[0, 2, 1, 3]],
  [[3, 1, 0, 2]],
  [[]],
])("transpose by %j", (perm) => {
  for (const last of [2, 200]) {
    const shape = [3, 2, 4, last].slice(0, perm.length);
    const x = iota(...shape);
    const [result] = run("transpose", { x }, { perm });
    expect(result!.shape).toEqual(perm.map((axis) => shape[axis]));
    const expected = indicesOf(result!.shape).map((index) =>
      at(
        x,
        shape.map((_, axis) => index[perm.indexOf(axis)]!),
      ),
    );
    expect(Array.from(result!.data)).toEqual(expected);
  }
});

test("concat along every axis", () => {
  for (const axis of [0, 1, -1]) {
    const positive = axis < 0 ? axis + 3 : axis;
    const inputs = [2, 0, 3].map((size) => randomTensor("i64", [2, 2, 2].with(positive, size)));
    const [result] = run("concat", { inputs }, { axis });
    expect(result!.shape).toEqual([2, 2, 2].with(positive, 5));
    const expected = indicesOf(result!.shape).map((index) =>
      index[positive]! < 2
        ? at(inputs[0]!, index)
        : at(inputs[2]!, index.with(positive, index[positive]! - 2)),
    );
    expect(Array.from(result!.data)).toEqual(expected);
  }
});

describe("slice", () => {
  test.each([
    [1, 4, 1, [1, 2, 3]],
    [0, far, 1, [0, 1, 2, 3, 4, 5]],
    [-2, far, 1, [4, 5]],
    [-far, -1, 1, [0, 1, 2, 3, 4]],
    [1, far, 2, [1, 3, 5]],
    [0, 5, 3, [0, 3]],
    [4, 2, 1, []],
    [9, 12, 1, []],
    [-1, -far, -1, [5, 4, 3, 2, 1, 0]],
    [far, -far, -2, [5, 3, 1]],
    [3, 0, -1, [3, 2, 1]],
    [-2, 1, -2, [4, 2]],
    [-9, -far, -1, []],
    [2, 4, -1, []],
  ])("[%d:%d:%d]", (start, end, step, expected) => {
    const bounds = { starts: vector(start), ends: vector(end) };
    expect(elements("slice", { x: iota(6), ...bounds }, { axes: [0], steps: [step] })).toEqual(expected);
    const rows = elements("slice", { x: iota(6, 2), ...bounds }, { axes: [-2], steps: [step] });
    expect(rows).toEqual(expected.flatMap((row) => [2 * row, 2 * row + 1]));
  });

  test("several axes at once", () => {
    const x = iota(3, 4, 5);
    const args = { x, starts: vector(-1, 1), ends: vector(-far, 4) };
    const [result] = run("slice", args, { axes: [2, 0], steps: [-2, 1] });
    expect(result!.shape).toEqual([2, 4, 3]);
    const expected = [1, 2].flatMap((i) =>
      [0, 1, 2, 3].flatMap((j) => [4, 2, 0].map((k) => at(x, [i, j, k]))),
    );
    expect(Array.from(result!.data)).toEqual(expected);
  });
});

describe("pad", () => {
  /** `numpy.pad` of 0 1 2 along one axis. */
  test.each([
    ["constant", 2, 1, [9, 9, 0, 1, 2, 9]],
    ["edge", 2, 1, [0, 0, 0, 1, 2, 2]],
    ["reflect", 2, 1, [2, 1, 0, 1, 2, 1]],
    ["reflect", 5, 3, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1]],
    ["wrap", 2, 1, [1, 2, 0, 1, 2, 0]],
    ["wrap", 4, 5, [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]],
    ["constant", -1, 2, [1, 2, 9, 9]],
    ["constant", -3, 1, [9]],
    ["edge", 1, -2, [0, 0]],
    ["wrap", -1, 2, [1, 2, 1, 2]],
    ["reflect", 2, -1, [0, 1, 0, 1]],
  ])("%s by %d and %d", (mode, before, after, expected) => {
    const value = tensor("i64", [], [9]);
    expect(elements("pad", { x: iota(3), pads: vector(before, after), value }, { mode })).toEqual(expected);
    // the same along the first of two axes, with one column taken away
    const x = iota(3, 3);
    const padded = elements("pad", { x, pads: vector(before, -1, after, 0), value }, { mode });
    expect(padded).toEqual(expected.flatMap((i) => (i === 9 ? [9, 9] : [3 * i + 1, 3 * i + 2])));
  });

  test("zeros by default, in any dtype", () => {
    expect(elements("pad", { x: floats(1.5), pads: vector(1, 1) }, { mode: "constant" })).toEqual([
      0, 1.5, 0,
    ]);
    expect(elements("pad", { x: tensor("i64", [], [3]), pads: vector() }, { mode: "edge" })).toEqual([3]);
  });

  test("cropping more than there is, and padding nothing with itself, are refused", () => {
    expect(() => run("pad", { x: iota(3), pads: vector(-2, -2) }, { mode: "constant" })).toThrow();
    expect(() => run("pad", { x: iota(0), pads: vector(1, 0) }, { mode: "edge" })).toThrow(RangeError);
  });
});

test.each([
  [[3], [2], [6]],
  [
    [2, 3],
    [2, 1],
    [4, 3],
  ],
  [
    [2, 3],
    [1, 2],
    [2, 6],
  ],
  [
    [2, 1, 3],
    [2, 3, 2],
    [4, 3, 6],
  ],
  [[2], [0], [0]],
  [[], [], []],
])("tile %j by %j", (shape, repeats, expected) => {
  const x = iota(...shape);
  const [result] = run("tile", { x, repeats: vector(...repeats) });
  expect(result!.shape).toEqual(expected);
  const wanted = indicesOf(expected).map((index) =>
    at(
      x,
      index.map((i, axis) => i % shape[axis]!),
    ),
  );
  expect(Array.from(result!.data)).toEqual(wanted);
});

test.each([
  [0, 4, 1, [0, 1, 2, 3]],
  [1, 6, 2, [1, 3, 5]],
  [5, 0, -2, [5, 3, 1]],
  [3, 3, 1, []],
  [3, 0, 1, []],
  [0, 3, -1, []],
])("range from %d to %d by %d", (start, limit, delta, expected) => {
  const [a, b, c] = [start, limit, delta].map((value) => tensor("i64", [], [value]));
  expect(elements("range", { start: a!, limit: b!, delta: c! })).toEqual(expected);
  const scalars = { start: tensor("f32", [], [start / 4]), limit: tensor("f32", [], [limit / 4]) };
  const [result] = movementKernels.range({ ...scalars, delta: tensor("f32", [], [delta / 4]) }, {});
  expect(Array.from(result!.data)).toEqual(expected.map((value) => value / 4));
});

test("triangles from every diagonal", () => {
  for (const shape of [
    [3, 4],
    [4, 3],
    [2, 3, 3],
    [1, 5],
    [2, 0],
  ]) {
    const x = randomTensor("i64", shape);
    for (const upper of [true, false]) {
      for (const k of [undefined, -5, -1, 0, 1, 2, 5]) {
        const args = k === undefined ? { x } : { x, k: tensor("i64", [], [k]) };
        const expected = indicesOf(shape).map((index) => {
          const above = index[index.length - 1]! - index[index.length - 2]!;
          const isKept = upper ? above >= (k ?? 0) : above <= (k ?? 0);
          return isKept ? at(x, index) : 0;
        });
        expect(elements("triangle", args, { upper })).toEqual(expected);
      }
    }
  }
});
