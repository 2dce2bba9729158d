import { describe, expect, test } from "vitest";
import type { DType } from "../../src/tensor/dtype.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { at, elements, floats, indicesOf, randomTensor, run, type TestedOp, vector } from "./harness.ts";

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const folds: readonly (readonly [TestedOp, readonly DType[], (values: readonly number[]) => number])[] = [
  ["reduce_sum", ["f32", "i64"], sum],
  ["reduce_mean", ["f32"], (values) => sum(values) / values.length],
  ["reduce_mean", ["i64"], (values) => Math.trunc(sum(values) / values.length)],
  ["reduce_max", ["f32", "i64", "bool"], (values) => Math.max(...values)],
  ["reduce_min", ["f32", "i64", "bool"], (values) => Math.min(...values)],
  ["reduce_prod", ["f32", "i64"], (values) => values.reduce((a, b) => a * b, 1)],
];

/** The elements of x whose index agrees with `index` off the given axes. */
const slice = (x: Tensor, index: readonly number[], axes: readonly number[]): number[] =>
  indicesOf(x.shape)
    .filter((candidate) => candidate.every((i, axis) => axes.includes(axis) || i === index[axis]))
    .map((candidate) => at(x, candidate));

describe("reductions", () => {
  const cases = folds.flatMap(([op, dtypes, fold]) => dtypes.map((dtype) => ({ op, dtype, fold })));
  test.each(cases)("$op of $dtype over any axes", ({ op, dtype, fold }) => {
    const shapes: readonly (readonly [number[], number[]])[] = [
      [[5], [0]],
      [[3, 4], [1]],
      [[3, 4], [0]],
      [
        [3, 4],
        [-1, 0],
      ],
      [[2, 3, 4], [1]],
      [
        [2, 3, 4],
        [0, 2],
      ],
      [
        [2, 3, 4],
        [2, 1],
      ],
      [
        [2, 1, 4],
        [0, 2],
      ],
      [
        [2, 3, 2, 3],
        [1, -1],
      ],
      [
        [2, 3, 2, 3],
        [0, 2, 3],
      ],
    ];
    for (const [shape, given] of shapes) {
      const x = randomTensor(dtype, shape);
      const axes = given.map((axis) => (axis < 0 ? axis + shape.length : axis));
      const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
      const expected = indicesOf(kept).map((index) => fold(slice(x, index, axes)));
      for (const keepdims of [true, false]) {
        const [result] = run(op, { x }, { axes: given, keepdims });
        expect(result!.shape).toEqual(keepdims ? kept : shape.filter((_, axis) => !axes.includes(axis)));
        expected.forEach((value, i) => {
          expect(Math.abs(result!.data[i]! - value)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
        });
      }
    }
  });

  test("no axes leave x as it is", () => {
    expect(elements("reduce_sum", { x: floats(1, 2) }, { axes: [], keepdims: false })).toEqual([1, 2]);
  });

  test.each<readonly [TestedOp, DType, number]>([
    ["reduce_sum", "f32", 0],
    ["reduce_prod", "i64", 1],
    ["reduce_mean", "f32", Number.NaN],
    ["reduce_max", "f32", -Infinity],
    ["reduce_min", "f32", Infinity],
    ["reduce_max", "i8", -128],
    ["reduce_min", "i8", 127],
    ["reduce_max", "bool", 0],
    ["reduce_min", "bool", 1],
  ])("%s of no %s elements is %f", (op, dtype, expected) => {
    const x = tensor(dtype, [2, 0]);
    expect(elements(op, { x }, { axes: [1], keepdims: true })).toEqual([expected, expected]);
  });

  test("f32 sums are exact beyond f32 inside", () => {
    const x = floats(2 ** 24, 1, 1, -(2 ** 24));
    expect(elements("reduce_sum", { x }, { axes: [0], keepdims: false })).toEqual([2]);
  });

  test("NaN wins over every number, wherever it is", () => {
    for (const x of [floats(Number.NaN, 1), floats(1, Number.NaN), floats(1, Number.NaN, 2)]) {
      expect(elements("reduce_max", { x }, { axes: [0], keepdims: false })).toEqual([Number.NaN]);
      expect(elements("reduce_min", { x }, { axes: [0], keepdims: false })).toEqual([Number.NaN]);
    }
  });
});

describe("argmax and argmin", () => {
  test("over every axis, with ties", () => {
    const x = tensor(
      "i32",
      [2, 3, 4],
      randomTensor("i32", [24]).data.map((v) => v % 3),
    );
    for (const op of ["argmax", "argmin"] as const) {
      const best = op === "argmax" ? Math.max : Math.min;
      for (const axis of [0, 1, 2, -1]) {
        for (const last of [false, true]) {
          const positive = axis < 0 ? axis + 3 : axis;
          const [result] = run(op, { x }, { axis, keepdims: true, last });
          expect(result!.shape[positive]).toBe(1);
          indicesOf(result!.shape).forEach((index, i) => {
            const values = slice(x, index, [positive]);
            const wanted = best(...values);
            expect(result!.data[i]).toBe(last ? values.lastIndexOf(wanted) : values.indexOf(wanted));
          });
          const dropped = run(op, { x }, { axis, keepdims: false, last })[0]!;
          expect(dropped.shape).toEqual(x.shape.toSpliced(positive, 1));
          expect(dropped.data).toEqual(result!.data);
        }
      }
    }
  });

  test.each([
    [[1, Number.NaN, 3, Number.NaN], false, 1],
    [[1, Number.NaN, 3, Number.NaN], true, 3],
    [[Number.NaN, 1], true, 0],
    [[-Infinity, -Infinity], false, 0],
  ])("of %j, last %s", (x, last, expected) => {
    for (const op of ["argmax", "argmin"] as const)
      expect(elements(op, { x: floats(...x) }, { axis: 0, keepdims: false, last })).toEqual([expected]);
  });

  test("an empty axis is refused", () => {
    const x = tensor("f32", [2, 0]);
    expect(() => run("argmax", { x }, { axis: 1, keepdims: false, last: false })).toThrow(RangeError);
  });
});

describe("cumsum", () => {
  test.each([
    [false, false, [1, 3, 6]],
    [true, false, [0, 1, 3]],
    [false, true, [6, 5, 3]],
    [true, true, [5, 3, 0]],
  ])("exclusive %s, reverse %s", (exclusive, reverse, expected) => {
    expect(elements("cumsum", { x: vector(1, 2, 3) }, { axis: 0, exclusive, reverse })).toEqual(expected);
    // along the first of two axes, the second a copy with the sign turned
    const x = tensor("f32", [3, 2], [1, -1, 2, -2, 3, -3]);
    const both = expected.flatMap((v) => [v, 0 - v]);
    expect(elements("cumsum", { x }, { axis: -2, exclusive, reverse })).toEqual(both);
  });
});

describe("topk", () => {
  test.each([true, false])("largest %s over every axis", (largest) => {
    const x = randomTensor("i32", [3, 5, 4]);
    for (const axis of [0, 1, -1]) {
      const at_ = axis < 0 ? axis + 3 : axis;
      for (const k of [0, 1, x.shape[at_]!]) {
        const [values, indices] = run("topk", { x, k: vector(k) }, { axis, largest });
        expect(values!.shape).toEqual(x.shape.with(at_, k));
        indicesOf(values!.shape).forEach((index, i) => {
          const ranked = slice(x, index, [at_])
            .map((value, position) => ({ value, position }))
            .sort((p, q) => (largest ? q.value - p.value : p.value - q.value) || p.position - q.position);
          const { value, position } = ranked[index[at_]!]!;
          expect(values!.data[i]).toBe(value);
          expect(indices!.data[i]).toBe(position);
        });
      }
    }
  });

  test("NaN and infinities have a place", () => {
    const x = floats(1, Number.NaN, Infinity, -Infinity, Infinity);
    const [, largest] = run("topk", { x, k: vector(5) }, { axis: 0, largest: true });
    expect(Array.from(largest!.data)).toEqual([1, 2, 4, 0, 3]);
    const [, smallest] = run("topk", { x, k: vector(5) }, { axis: 0, largest: false });
    expect(Array.from(smallest!.data)).toEqual([3, 0, 2, 4, 1]);
  });
});
