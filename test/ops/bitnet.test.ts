import { describe, expect, test } from "vitest";
import { packTernary } from "../../src/packing/index.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { elements, floats, indicesOf, inferred, info, randomNumbers, randomTensor, run } from "./harness.ts";

const f = Math.fround;
const random = randomNumbers(11);
const randomCodes = (columns: number, depth: number): Tensor =>
  tensor(
    "i8",
    [columns, depth],
    Array.from({ length: columns * depth }, () => Math.floor(random() * 3) - 1),
  );

/** Half to even, by cases. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x) + 0;
  return floor % 2 === 0 ? floor : floor + 1;
}
function naiveQuantize(row: readonly number[]) {
  const absmax = Math.max(f(1e-5), ...row.map(Math.abs));
  const scale = f(127 / absmax);
  return { scale, codes: row.map((x) => Math.min(127, Math.max(-128, roundHalfEven(f(x * scale)))) + 0) };
}
const rows = (x: Tensor): number[][] => {
  const width = x.shape[x.shape.length - 1]!;
  return Array.from({ length: x.data.length / width }, (_, i) => [
    ...x.data.slice(i * width, (i + 1) * width),
  ]);
};

describe("bitnet.quantize", () => {
  test("gives the codes and the scale of each row", () => {
    const x = randomTensor("f32", [2, 3, 9]);
    const [codes, scale] = run("bitnet.quantize", { x });
    expect(scale!.shape).toEqual([2, 3, 1]);
    expect(rows(codes!)).toEqual(rows(x).map((row) => naiveQuantize(row).codes));
    expect([...scale!.data]).toEqual(rows(x).map((row) => naiveQuantize(row).scale));
  });

  test("rounds halves to even", () => {
    const x = tensor("f32", [1, 7], [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]);
    expect(elements("bitnet.quantize", { x })).toEqual([127, 0, 2, 2, 0, -2, -2]);
  });

  test("a row of zeros, and of less than 1e-5, has the scale of 1e-5", () => {
    const [codes, scale] = run("bitnet.quantize", { x: tensor("f32", [2, 2], [0, 0, 5e-6, -1e-7]) });
    expect([...codes!.data]).toEqual([0, 0, 64, -1]);
    expect([...scale!.data]).toEqual([f(127 / f(1e-5)), f(127 / f(1e-5))]);
  });

  test("a row that is not finite has no scale", () => {
    const [, scale] = run("bitnet.quantize", { x: tensor("f32", [3, 2], [1, NaN, Infinity, 1, 127, 0]) });
    expect([...scale!.data]).toEqual([NaN, NaN, 1]);
  });
});

interface Case {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly scale: Tensor;
  readonly bias?: Tensor;
}
const scaleAt = (scale: Tensor, n: number, g: number): number =>
  scale.data.length === 1 ? scale.data[0]! : scale.data[n * (scale.shape[1] ?? 1) + g]!;

/** Sums of codes as integers, group by group, then one scaling. */
function naiveQuantized({ x, weight, scale, bias }: Case, group: number): number[] {
  const [columns, depth] = weight.shape as [number, number];
  return rows(x).flatMap((row) => {
    const { codes, scale: s } = naiveQuantize(row);
    return Array.from({ length: columns }, (_, n) => {
      let total = 0;
      for (let g = 0, from = 0; from < depth; g++, from += group || depth) {
        let sum = 0;
        for (let k = from; k < Math.min(depth, from + (group || depth)); k++)
          sum += codes[k]! * weight.data[n * depth + k]!;
        total += group === 0 ? sum : sum * scaleAt(scale, n, g);
      }
      // Without groups the scale is applied as s · (1/w), rounded to f32.
      const y = group === 0 ? f(total / f(s * f(1 / scaleAt(scale, n, 0)))) : f(total / s);
      return bias ? f(y + bias.data[n]!) : y;
    });
  });
}

const sizes = [
  [1, 1],
  [5, 3],
  [4, 4],
  [6, 255],
  [7, 256],
  [3, 257],
  [9, 1030],
  [2, 2100],
] as const;
const cases = [1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((m) => sizes.map(([n, k]) => [m, n, k] as const));

describe("bitnet.linear, int8-per-token", () => {
  const attrs = { activations: "int8-per-token", group: 0 };

  test.each(cases)("%i rows, weight [%i, %i]", (m, n, k) => {
    const [x, weight] = [randomTensor("f32", [m, k]), randomCodes(n, k)];
    for (const scale of [floats(0.7), randomTensor("f32", [n])]) {
      expect(elements("bitnet.linear", { x, weight, scale }, attrs)).toEqual(
        naiveQuantized({ x, weight, scale }, 0),
      );
      const bias = randomTensor("f32", [n]);
      expect(elements("bitnet.linear", { x, weight, scale, bias }, attrs)).toEqual(
        naiveQuantized({ x, weight, scale, bias }, 0),
      );
    }
  });

  test.each([1, 2, 3, 5])("the integer sums are exact at their largest, %i rows", (m) => {
    // codes of 127 times a scale of 127 give s = 1, so that the result is the sum itself
    const k = 5001;
    const x = tensor("f32", [m, k]);
    for (let i = 0; i < x.data.length; i++) x.data[i] = (i % k) % 2 === 0 || i < k ? 127 : -127;
    const weight = tensor("i8", [3, k]);
    for (let i = 0; i < k; i++) {
      weight.data[i] = 1;
      weight.data[k + i] = -1;
      weight.data[2 * k + i] = i % 2 === 0 ? 1 : -1;
    }
    const found = elements("bitnet.linear", { x, weight, scale: floats(1) }, attrs);
    const expected = [[127 * k, -127 * k, 127], ...Array(m - 1).fill([127, -127, 127 * k])].flat();
    expect(found).toEqual(expected);
    expect(found.every(Number.isInteger)).toBe(true);
  });

  test.each([
    [4, 3, 12],
    [3, 5, 13],
    [32, 4, 96],
    [32, 5, 100],
    [300, 3, 700],
    [5, 3, 4],
  ])("groups of %i weights, weight [%i, %i]", (group, n, k) => {
    for (const m of [1, 2, 3, 4, 7]) {
      const [x, weight] = [randomTensor("f32", [m, k]), randomCodes(n, k)];
      const scale = randomTensor("f32", [n, Math.ceil(k / group)]);
      const expected = naiveQuantized({ x, weight, scale }, group);
      const found = elements("bitnet.linear", { x, weight, scale }, { ...attrs, group });
      // scaled sums of several groups round in f64, in an order that is not prescribed
      found.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(Math.abs(expected[i]!) * 2 ** -22 + 1e-9);
      });
      const whole = run(
        "bitnet.linear",
        {
          x,
          weight,
          scale: tensor(
            "f32",
            scale.shape,
            scale.data.map(() => 0.5),
          ),
        },
        { ...attrs, group },
      );
      expect([...whole[0]!.data]).toEqual(naiveQuantized({ x, weight, scale: floats(0.5) }, 0));
    }
  });

  test("a row that is not finite leaves the others alone", () => {
    const x = randomTensor("f32", [3, 8]);
    const weight = randomCodes(4, 8);
    const scale = floats(1);
    const clean = elements("bitnet.linear", { x, weight, scale }, attrs);
    x.data[9] = NaN;
    const found = elements("bitnet.linear", { x, weight, scale }, attrs);
    expect(found.slice(4, 8)).toEqual([NaN, NaN, NaN, NaN]);
    expect([...found.slice(0, 4), ...found.slice(8)]).toEqual([...clean.slice(0, 4), ...clean.slice(8)]);
  });

  test.each(["tq2_0", "tq1_0"] as const)("%s weights", (dtype) => {
    const [x, codes, scale] = [randomTensor("f32", [2, 1, 300]), randomCodes(5, 300), floats(0.25)];
    const weight = tensor(dtype, [5, 300], packTernary(dtype, codes.data as Int8Array, 5, 300));
    const [result] = run("bitnet.linear", { x, weight, scale }, attrs);
    expect(result!.shape).toEqual([2, 1, 5]);
    expect([...result!.data]).toEqual(naiveQuantized({ x, weight: codes, scale }, 0));
  });

  test("the same weight in other groups, and another of the same memory size", () => {
    const [x, weight] = [randomTensor("f32", [1, 6]), randomCodes(4, 6)];
    const scale = floats(1);
    const plain = naiveQuantized({ x, weight, scale }, 0);
    const grouped = tensor("f32", [4, 2], Array(8).fill(1));
    expect(elements("bitnet.linear", { x, weight, scale }, attrs)).toEqual(plain);
    expect(elements("bitnet.linear", { x, weight, scale: grouped }, { ...attrs, group: 3 })).toEqual(plain);
    const reshaped = { ...weight, shape: [6, 4] };
    const narrow = randomTensor("f32", [1, 4]);
    expect(elements("bitnet.linear", { x: narrow, weight: reshaped, scale }, attrs)).toEqual(
      naiveQuantized({ x: narrow, weight: reshaped, scale }, 0),
    );
  });

  test("a code that is not ternary is refused", () => {
    const weight = tensor("i8", [1, 2], [1, 2]);
    expect(() => run("bitnet.linear", { x: tensor("f32", [1, 2]), weight, scale: floats(1) }, attrs)).toThrow(
      new RangeError("A weight has the code 2, which is not ternary."),
    );
  });
});

describe("bitnet.linear, float", () => {
  test.each(cases)("%i rows, weight [%i, %i]", (m, n, k) => {
    const x = randomTensor("f32", [m, k]);
    const weight = randomCodes(n, k);
    const bias = randomTensor("f32", [n]);
    for (const group of [0, 32]) {
      const scale = randomTensor("f32", group === 0 ? [n] : [n, Math.ceil(k / group)]);
      const expected = indicesOf([m, n]).map(([i, j]) => {
        let sum = bias.data[j!]!;
        for (let c = 0; c < k; c++) {
          const t = weight.data[j! * k + c]! * scaleAt(scale, j!, group === 0 ? 0 : Math.floor(c / group));
          sum += x.data[i! * k + c]! * t;
        }
        return expect.closeTo(sum, 3);
      });
      const found = elements("bitnet.linear", { x, weight, scale, bias }, { activations: "float", group });
      expect(found).toEqual(expected);
    }
  });
});

describe("inference of bitnet.linear", () => {
  const seq = symbol("seq", 64, 1);
  const shapes = {
    x: info("f32", [1, seq, 100]),
    weight: info("tq2_0", [6, 100]),
    scale: info("f32", [1]),
  };
  const infer = (args: object, group = 0) =>
    inferred("bitnet.linear", { ...shapes, ...args }, { activations: "float", group });

  test("gives x's dtype and the weight's rows", () => {
    expect(infer({})).toBe("f32[1, seq, 6]");
    expect(infer({ x: info("f16", [100]), weight: info("i8", [6, 100]), scale: info("f32", [6]) })).toBe(
      "f16[6]",
    );
    expect(infer({ scale: info("f32", [6, 4]) }, 32)).toBe("f32[1, seq, 6]");
  });

  test("refuses what does not fit", () => {
    expect(() => infer({ x: info("f32", [1, seq, 99]) })).toThrow(/K of/);
    expect(() => infer({ x: info("f32", []) })).toThrow(/axis/);
    expect(() => infer({ weight: info("f32", [6, 100]) })).toThrow(/weight must be i8, tq2_0 or tq1_0/);
    expect(() => infer({ weight: info("i8", [600]) })).toThrow(/weight must have the shape/);
    expect(() => infer({ scale: info("f32", [5]) })).toThrow(/N/);
    expect(() => infer({ scale: info("f16", [1]) })).toThrow(/scale must be f32/);
    expect(() => infer({ scale: info("f32", []) })).toThrow(/scale must be \[1\] or \[N\]/);
    expect(() => infer({ scale: info("f32", [6, 1]) })).toThrow(/scale must be \[1\] or \[N\]/);
    expect(() => infer({ scale: info("f32", [6, 3]) }, 32)).toThrow(/ceil\(K \/ group\)/);
    expect(() => infer({ scale: info("f32", [6]) }, 32)).toThrow(/scale must have the shape/);
    expect(() => infer({}, -1)).toThrow(/group/);
    expect(() => infer({ bias: info("f32", [5]) })).toThrow(/bias/);
  });
});

describe("kv.update", () => {
  const cache = () => tensor("f32", [1, 2, 4, 2]);
  const rowsOf = (...values: number[]) => tensor("f32", [1, 2, 2, 2], values);

  test("writes rows in place and gives the cache itself back", () => {
    const state = cache();
    const [result] = run("kv.update", {
      cache: state,
      new: rowsOf(1, 2, 3, 4, 5, 6, 7, 8),
      start_pos: tensor("i64", [1], [1]),
    });
    expect(result!.data).toBe(state.data);
    expect([...state.data]).toEqual([0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8, 0, 0]);
  });

  test.each([3, -1])("says when the rows do not fit, from %i", (start) => {
    const state = cache();
    const args = {
      cache: state,
      new: rowsOf(1, 2, 3, 4, 5, 6, 7, 8),
      start_pos: tensor("i64", [1], [start]),
    };
    expect(() => run("kv.update", args)).toThrow(
      new RangeError(`Positions ${start} to ${start + 1} do not fit a key/value cache of 4 positions.`),
    );
    expect([...state.data]).toEqual(Array(16).fill(0));
  });

  test("refuses what does not fit", () => {
    const shapes = { cache: info("f32", [1, 2, 4, 2]), start_pos: info("i64", [1]) };
    const infer = (shape: number[]) => inferred("kv.update", { ...shapes, new: info("f32", shape) });
    expect(infer([1, 2, 3, 2])).toBe("f32[1, 2, 4, 2]");
    expect(() => infer([2, 2, 3, 2])).toThrow(/B of/);
    expect(() => infer([1, 1, 3, 2])).toThrow(/H of/);
    expect(() => infer([1, 2, 3, 1])).toThrow(/D of/);
    expect(() => infer([1, 2, 3])).toThrow(/new must have the shape/);
    expect(() => inferred("kv.update", { ...shapes, new: info("f16", [1, 2, 3, 2]) })).toThrow(/one dtype/);
    const args = { ...shapes, new: info("f32", [1, 2, 3, 2]), start_pos: info("i32", [1]) };
    expect(() => inferred("kv.update", args)).toThrow(/start_pos must be i64/);
  });
});
