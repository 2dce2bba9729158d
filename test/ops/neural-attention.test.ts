import { describe, expect, test } from "vitest";
import { symbol } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import {
  at,
  atBroadcast,
  definition,
  elements,
  indicesOf,
  inferred,
  info,
  randomTensor,
  run,
} from "./harness.ts";

interface Attrs {
  readonly scale: number;
  readonly causal: boolean;
  readonly softcap: number;
  readonly window: number;
}
interface Args {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly mask?: Tensor;
  readonly start_pos?: Tensor;
}
const plain: Attrs = { scale: 0.5, causal: false, softcap: 0, window: 0 };

/** Attention by its definition: a matrix of all scores, those not visible at -∞. */
function naive({ q, k, v, mask, start_pos }: Args, { scale, causal, softcap, window }: Attrs) {
  const [batch, heads, length, width] = q.shape as [number, number, number, number];
  const [, keyHeads, keys] = k.shape as [number, number, number];
  return indicesOf([batch, heads, length]).flatMap(([b, h, s]) => {
    const head = Math.floor((h! * keyHeads) / heads);
    const position = (start_pos?.data[0] ?? keys - length) + s!;
    const scores = Array.from({ length: keys }, (_, j) => {
      let score = 0;
      for (let d = 0; d < width; d++) score += at(q, [b!, h!, s!, d]) * at(k, [b!, head, j, d]);
      score *= scale;
      if (softcap > 0) score = softcap * Math.tanh(score / softcap);
      if (mask?.dtype === "bool" && atBroadcast(mask, [b!, h!, s!, j]) === 0) score = -Infinity;
      if (mask?.dtype === "f32") score += atBroadcast(mask, [b!, h!, s!, j]);
      if (causal && j > position) score = -Infinity;
      if (window > 0 && j <= position - window) score = -Infinity;
      return score;
    });
    const weights = scores.map(Math.exp);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return Array.from({ length: v.shape[3]! }, (_, d) => {
      const sum = weights.reduce((part, w, j) => part + (w === 0 ? 0 : w * at(v, [b!, head, j, d])), 0);
      return expect.closeTo(total === 0 ? 0 : sum / total, 5);
    });
  });
}

const check = (args: Args, attrs: Partial<Attrs> = {}): void => {
  const all = { ...plain, ...attrs };
  expect(elements("nn.sdpa", { ...args }, { ...all })).toEqual(naive(args, all));
};

const sample = (
  heads: number,
  keyHeads: number,
  length: number,
  keys: number,
  width = 5,
  valueWidth = 3,
) => ({
  q: randomTensor("f32", [2, heads, length, width]),
  k: randomTensor("f32", [2, keyHeads, keys, width]),
  v: randomTensor("f32", [2, keyHeads, keys, valueWidth]),
});
const position = (value: number): Tensor => tensor("i64", [1], [value]);

describe("nn.sdpa", () => {
  test.each([
    [1, 1, 1, 1],
    [2, 2, 3, 7],
    [4, 2, 5, 5],
    [6, 2, 1, 9],
    [3, 1, 4, 6],
  ])("%i query heads on %i key heads, %i queries, %i keys", (heads, keyHeads, length, keys) => {
    const args = sample(heads, keyHeads, length, keys);
    check(args);
    check(args, { causal: true });
    check(args, { softcap: 1.5 });
    check(args, { window: 3 });
    check(args, { window: 2, causal: true, softcap: 0.5 });
  });

  test("more queries than keys: the first see nothing and give zeros", () => {
    const args = sample(2, 1, 5, 3);
    check(args, { causal: true });
    const found = elements("nn.sdpa", { ...args }, { ...plain, causal: true });
    expect(found.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test.each([
    [[4, 6]],
    [[1, 6]],
    [[4, 1]],
    [[2, 1, 1, 6]],
    [[1, 4, 4, 6]],
    [[4, 1, 6]],
    [[2, 4, 4, 6]],
    [[]],
  ])("a mask %j", (shape) => {
    const args = sample(4, 2, 4, 6);
    for (const dtype of ["bool", "f32"] as const) {
      check({ ...args, mask: randomTensor(dtype, shape) });
      check({ ...args, mask: randomTensor(dtype, shape) }, { causal: true, softcap: 2 });
    }
  });

  test("a query whose keys are all masked gives zeros", () => {
    const args = sample(2, 2, 2, 3);
    for (const mask of [
      tensor("bool", [2, 3], [0, 0, 0, 1, 1, 0]),
      tensor("f32", [2, 3], [-Infinity, -Infinity, -Infinity, 0, 0, -Infinity]),
    ]) {
      check({ ...args, mask });
      expect(elements("nn.sdpa", { ...args, mask }, { ...plain }).slice(0, 3)).toEqual([0, 0, 0]);
    }
  });

  test.each([0, 1, 4, 6])("a cache from position %i on", (start) => {
    const args = { ...sample(4, 2, 3, 9), start_pos: position(start) };
    check(args, { causal: true });
    check(args, { causal: true, window: 2 });
    check({ ...args, mask: randomTensor("bool", [3, 9]) }, { causal: true });
  });

  test("what lies in the cache beyond the last position is not read", () => {
    const args = sample(2, 1, 2, 8);
    const attrs = { ...plain, causal: true };
    const before = elements("nn.sdpa", { ...args, start_pos: position(3) }, attrs);
    for (const cache of [args.k, args.v])
      for (const index of indicesOf(cache.shape))
        if (index[2]! >= 5) cache.data[index.reduce((o, i, axis) => o * cache.shape[axis]! + i, 0)] = NaN;
    expect(elements("nn.sdpa", { ...args, start_pos: position(3) }, attrs)).toEqual(before);
  });

  test("NaN in a visible key is not hidden", () => {
    const args = sample(1, 1, 1, 3);
    args.k.data[0] = NaN;
    expect(elements("nn.sdpa", { ...args }, { ...plain }).slice(0, 3)).toEqual([NaN, NaN, NaN]);
  });

  test("says when the cache is too small", () => {
    const args = { ...sample(1, 1, 3, 8), start_pos: position(6) };
    expect(() => run("nn.sdpa", args, { ...plain, causal: true })).toThrow(
      new RangeError("Positions 6 to 8 do not fit a key/value cache of 8 positions."),
    );
  });
});

describe("inference of nn.sdpa", () => {
  const seq = symbol("seq", 64, 1);
  const shapes = {
    q: info("f32", [1, 4, seq, 8]),
    k: info("f32", [1, 2, 64, 8]),
    v: info("f32", [1, 2, 64, 6]),
  };
  const infer = (args: object, attrs: Partial<Attrs> = {}) =>
    inferred("nn.sdpa", { ...shapes, ...args }, { ...plain, ...attrs });

  test("gives the queries' shape with the values' width", () => {
    expect(infer({})).toBe("f32[1, 4, seq, 6]");
    expect(infer({ mask: info("bool", [1, 1, seq, 64]), start_pos: info("i64", [1]) })).toBe(
      "f32[1, 4, seq, 6]",
    );
  });

  test("refuses what does not fit", () => {
    expect(() => infer({ k: info("f32", [1, 3, 64, 8]), v: info("f32", [1, 3, 64, 8]) })).toThrow(
      "4 query heads do not divide among 3 key heads",
    );
    expect(() => infer({ k: info("f32", [1, 2, 64, 7]) })).toThrow(/D of/);
    expect(() => infer({ v: info("f32", [1, 2, 63, 8]) })).toThrow(/T of/);
    expect(() => infer({ v: info("f32", [1, 1, 64, 8]) })).toThrow(/Hk of/);
    expect(() => infer({ q: info("f32", [2, 4, seq, 8]) })).toThrow(/B of/);
    expect(() => infer({ q: info("f32", [4, seq, 8]) })).toThrow(/q must have the shape/);
    expect(() => infer({ mask: info("i64", [seq, 64]) })).toThrow(/mask must be bool or a float/);
    expect(() => infer({ mask: info("f32", [seq, 63]) })).toThrow(/broadcast/);
    expect(() => infer({ mask: info("f32", [2, 1, seq, 64]) })).toThrow(/one size/);
    expect(() => infer({ mask: info("f32", [1, 1, 1, seq, 64]) })).toThrow(/more axes/);
    expect(() => infer({ start_pos: info("i64", [2]) })).toThrow(/start_pos/);
  });

  test("verifies its attributes", () => {
    const verify = (args: object, attrs: Partial<Attrs>) =>
      definition("nn.sdpa").verify!({ ...shapes, ...args } as never, { ...plain, ...attrs });
    expect(verify({}, {})).toBeUndefined();
    expect(verify({ start_pos: info("i64", [1]) }, {})).toBe("start_pos needs causal attention");
    expect(verify({ start_pos: info("i64", [1]) }, { causal: true })).toBeUndefined();
    expect(verify({}, { softcap: -1 })).toMatch(/softcap/);
    expect(verify({}, { window: 1.5 })).toMatch(/window/);
  });
});
