import { describe, expect, test } from "vitest";
import { indexingKernels } from "../../src/runtime/cpu/kernels/indexing.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { at, elements, floats, indicesOf, randomNumbers, randomTensor, run, vector } from "./harness.ts";

const random = randomNumbers(3);
/** Indices into an axis, negative ones among them. */
const randomIndices = (shape: readonly number[], size: number) => {
  const count = shape.reduce((n, d) => n * d, 1);
  return tensor(
    "i64",
    shape,
    Array.from({ length: count }, () => Math.floor(random() * 2 * size) - size),
  );
};
const wrap = (index: number, size: number) => (index < 0 ? index + size : index);

test.each([
  [[5], 0, []],
  [[5], 0, [4]],
  [[3, 4], 0, [2]],
  [[3, 4], 1, [2, 3]],
  [[3, 4, 200], -2, [2]],
  [[2, 3, 4], -1, [3, 1]],
  [[2, 3], 1, [0]],
])("gather from %j along %d by %j", (shape, axis, indexShape) => {
  const positive = wrap(axis, shape.length);
  const x = randomTensor("f32", shape);
  const indices = randomIndices(indexShape, shape[positive]!);
  const [result] = run("gather", { x, indices }, { axis });
  expect(result!.shape).toEqual(shape.toSpliced(positive, 1, ...indexShape));
  const expected = indicesOf(result!.shape).map((index) => {
    const chosen = at(indices, index.slice(positive, positive + indexShape.length));
    return at(x, index.toSpliced(positive, indexShape.length, wrap(chosen, shape[positive]!)));
  });
  expect(Array.from(result!.data)).toEqual(expected);
});

test.each([
  [[4], 0, [6]],
  [[3, 4], 0, [2, 4]],
  [[3, 4], 1, [3, 7]],
  [[3, 4], -1, [2, 2]],
  [[2, 3, 4], 1, [1, 5, 3]],
])("gather_elements from %j along %d by %j", (shape, axis, indexShape) => {
  const positive = wrap(axis, shape.length);
  const x = randomTensor("i64", shape);
  const indices = randomIndices(indexShape, shape[positive]!);
  const expected = indicesOf(indexShape).map((index) =>
    at(x, index.with(positive, wrap(at(indices, index), shape[positive]!))),
  );
  expect(elements("gather_elements", { x, indices }, { axis })).toEqual(expected);
});

test.each([
  [[2, 3], [4, 2], 0],
  [[2, 3], [4, 1], 0],
  [[2, 3, 4], [5, 3, 2], 0],
  [[2, 3, 4], [2, 1], 1],
  [[2, 3, 4], [2, 5, 2], 1],
  [[2, 3, 4], [2, 3, 1], 2],
  [[2, 3], [0, 1], 0],
])("gather_nd from %j by %j with %d batch axes", (shape, indexShape, batchDims) => {
  const depth = indexShape[indexShape.length - 1]!;
  const x = randomTensor("i64", shape);
  // a size that is small enough for every axis that is indexed
  const indices = randomIndices(indexShape, Math.min(...shape.slice(batchDims, batchDims + depth)));
  const [result] = run("gather_nd", { x, indices }, { batch_dims: batchDims });
  const tuples = indexShape.slice(0, -1);
  expect(result!.shape).toEqual([...tuples, ...shape.slice(batchDims + depth)]);
  const expected = indicesOf(result!.shape).map((index) => {
    const tuple = Array.from({ length: depth }, (_, k) =>
      wrap(at(indices, [...index.slice(0, tuples.length), k]), shape[batchDims + k]!),
    );
    return at(x, [...index.slice(0, batchDims), ...tuple, ...index.slice(tuples.length)]);
  });
  expect(Array.from(result!.data)).toEqual(expected);
});

const combine = {
  none: (_: number, update: number) => update,
  add: (old: number, update: number) => old + update,
  mul: (old: number, update: number) => old * update,
  min: Math.min,
  max: Math.max,
};

describe.each(Object.entries(combine))("scatter with %s", (reduction, apply) => {
  test.each([
    [[5], 0, [9]],
    [[3, 4], 0, [5, 3]],
    [[3, 4], -1, [2, 6]],
    [[2, 3, 4], 1, [2, 4, 4]],
  ])("scatter_elements into %j along %d by %j", (shape, axis, indexShape) => {
    const positive = wrap(axis, shape.length);
    const x = randomTensor("i64", shape);
    const indices = randomIndices(indexShape, shape[positive]!);
    const updates = randomTensor("i64", indexShape);
    const expected = new Map(indicesOf(shape).map((index) => [index.join(), at(x, index)]));
    for (const index of indicesOf(indexShape)) {
      const place = index.with(positive, wrap(at(indices, index), shape[positive]!)).join();
      expected.set(place, apply(expected.get(place)!, at(updates, index)) + 0);
    }
    const before = x.data.slice();
    expect(elements("scatter_elements", { x, indices, updates }, { axis, reduction })).toEqual([
      ...expected.values(),
    ]);
    expect(x.data).toEqual(before);
  });

  test.each([
    [[4], [6, 1], [6]],
    [
      [4, 3],
      [3, 1],
      [3, 3],
    ],
    [
      [3, 3],
      [2, 2, 2],
      [2, 2],
    ],
  ])("scatter_nd into %j by %j", (shape, indexShape, updateShape) => {
    const depth = indexShape[indexShape.length - 1]!;
    const x = randomTensor("i64", shape);
    const indices = randomIndices(indexShape, Math.min(...shape.slice(0, depth)));
    const updates = randomTensor("i64", updateShape);
    const expected = new Map(indicesOf(shape).map((index) => [index.join(), at(x, index)]));
    const tuples = indexShape.length - 1;
    for (const index of indicesOf(updateShape)) {
      const tuple = Array.from({ length: depth }, (_, k) =>
        wrap(at(indices, [...index.slice(0, tuples), k]), shape[k]!),
      );
      const place = [...tuple, ...index.slice(tuples)].join();
      expected.set(place, apply(expected.get(place)!, at(updates, index)) + 0);
    }
    expect(elements("scatter_nd", { x, indices, updates }, { reduction })).toEqual([...expected.values()]);
  });
});

test("nonzero lists indices by axis", () => {
  const x = tensor("f32", [2, 3], [0, 1.5, Number.NaN, -2, 0, 0]);
  const [result] = run("nonzero", { x }, { size: "found" });
  expect(result!.shape).toEqual([2, 3]);
  expect(Array.from(result!.data)).toEqual([0, 0, 1, 1, 2, 0]);
  expect(run("nonzero", { x: tensor("bool", [], [1]) }, { size: "found" })[0]!.shape).toEqual([0, 1]);
});

test("indices out of range are refused in a sentence", () => {
  const message = /^Index -?\d+ is outside an axis of 2 elements\.$/;
  const x = floats(1, 2);
  for (const index of [2, -3]) {
    expect(() => indexingKernels.gather({ x, indices: vector(index) }, { axis: 0 })).toThrow(message);
    expect(() => indexingKernels.gather_elements({ x, indices: vector(index) }, { axis: 0 })).toThrow(
      message,
    );
    const indices = tensor("i64", [1, 1], [index]);
    expect(() => indexingKernels.gather_nd({ x, indices }, { batch_dims: 0 })).toThrow(message);
    const updates = floats(0);
    expect(() => indexingKernels.scatter_nd({ x, indices, updates }, { reduction: "none" })).toThrow(message);
    expect(() =>
      indexingKernels.scatter_elements(
        { x, indices: vector(index), updates },
        { axis: 0, reduction: "none" },
      ),
    ).toThrow(message);
  }
});
