import { describe, expect, test } from "vitest";
import { roundHalfToEven } from "../../src/runtime/cpu/kernels/elementwise.ts";
import { erf } from "../../src/runtime/cpu/kernels/erf.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import {
  atBroadcast,
  elements,
  floats,
  indicesOf,
  randomTensor,
  run,
  type TestedOp,
  vector,
} from "./harness.ts";

const shapePairs: readonly (readonly [number[], number[], number[]])[] = [
  [
    [3, 4],
    [3, 4],
    [3, 4],
  ],
  [[], [2, 3], [2, 3]],
  [[2, 3], [], [2, 3]],
  [[1, 1], [5], [1, 5]],
  [[5], [1, 1, 1], [1, 1, 5]],
  [[4], [2, 3, 4], [2, 3, 4]],
  [
    [3, 1],
    [1, 4],
    [3, 4],
  ],
  [
    [2, 1, 3],
    [4, 1],
    [2, 4, 3],
  ],
  [
    [2, 3, 1, 2],
    [3, 5, 1],
    [2, 3, 5, 2],
  ],
  [[0, 3], [1], [0, 3]],
  [
    [2, 0],
    [1, 1],
    [2, 0],
  ],
];

function expectClose(value: number, expected: number, digits: number): void {
  if (Number.isFinite(expected)) expect(value).toBeCloseTo(expected, digits);
  else expect(value).toBe(expected);
}

const floorModulo = (a: number, b: number) => (b === 0 ? Number.NaN : a - Math.floor(a / b) * b);

/** The function of two numbers that each op computes, written another way than the kernel where that is possible. */
const binaryOps: readonly (readonly [TestedOp, readonly DType[], (a: number, b: number) => number])[] = [
  ["add", ["f32", "i32", "i64"], (a, b) => a + b],
  ["sub", ["f32", "i8", "i64"], (a, b) => a - b],
  ["mul", ["f32", "i32", "u32", "i64"], (a, b) => a * b],
  ["div", ["f32"], (a, b) => a / b],
  [
    "div",
    ["i32", "i64"],
    (a, b) => (b === 0 ? 0 : Math.sign(a) * Math.sign(b) * Math.floor(Math.abs(a) / Math.abs(b))),
  ],
  ["mod", ["i32", "i64"], (a, b) => (b === 0 ? 0 : floorModulo(a, b))],
  ["fmod", ["f32"], (a, b) => a - Math.trunc(a / b) * b],
  ["maximum", ["f32", "i64"], (a, b) => (a + b + Math.abs(a - b)) / 2],
  ["minimum", ["f32", "u8"], (a, b) => (a + b - Math.abs(a - b)) / 2],
  ["pow", ["f64"], (a, b) => a ** b],
  ["and", ["bool"], (a, b) => (a && b ? 1 : 0)],
  ["or", ["bool"], (a, b) => (a || b ? 1 : 0)],
  ["xor", ["bool"], (a, b) => (a === b ? 0 : 1)],
  ["bitwise_and", ["i32", "i64", "i4"], (a, b) => Number(BigInt(a) & BigInt(b))],
  ["bitwise_or", ["i8", "i64", "u16"], (a, b) => Number(BigInt(a) | BigInt(b))],
  ["bitwise_xor", ["i16", "i64", "u64"], (a, b) => Number(BigInt(a) ^ BigInt(b))],
  ["shift_left", ["u8", "u32", "u64"], (a, b) => Number(BigInt(a) << BigInt(b))],
  ["shift_right", ["u8", "u32", "u64"], (a, b) => Number(BigInt(a) >> BigInt(b))],
  ["equal", ["f32", "i64", "bool"], (a, b) => (a - b === 0 ? 1 : 0)],
  ["less", ["f32", "i64"], (a, b) => (b > a ? 1 : 0)],
  ["less_equal", ["f32", "i64"], (a, b) => (a > b ? 0 : 1)],
  ["greater", ["f32", "i64"], (a, b) => (b < a ? 1 : 0)],
  ["greater_equal", ["f32", "i64"], (a, b) => (a < b ? 0 : 1)],
];

describe("two tensors", () => {
  const cases = binaryOps.flatMap(([op, dtypes, apply]) => dtypes.map((dtype) => ({ op, dtype, apply })));
  test.each(cases)("$op of $dtype over all broadcasts", ({ op, dtype, apply }) => {
    for (const [aShape, bShape, shape] of shapePairs) {
      const a = randomTensor(dtype, aShape);
      const b = randomTensor(dtype, bShape);
      const [result] = run(op, { a, b });
      expect(result!.shape).toEqual(shape);
      indicesOf(shape).forEach((index, i) => {
        expectClose(result!.data[i]!, apply(atBroadcast(a, index), atBroadcast(b, index)), 4);
      });
    }
  });

  test("where broadcasts three tensors", () => {
    for (const [aShape, bShape, shape] of shapePairs) {
      for (const conditionShape of [[], aShape, bShape, shape]) {
        const condition = randomTensor("bool", conditionShape);
        const [a, b] = [randomTensor("f32", aShape), randomTensor("f32", bShape)];
        const [result] = run("where", { condition, a, b });
        expect(Array.from(result!.data)).toEqual(
          indicesOf(shape).map((index) => atBroadcast(atBroadcast(condition, index) ? a : b, index)),
        );
      }
    }
  });

  test.each<readonly [TestedOp, DType, number, number, number]>([
    // the sign of a remainder
    ["mod", "i32", -7, 3, 2],
    ["mod", "i32", 7, -3, -2],
    ["mod", "f32", -7.5, 3, 1.5],
    ["mod", "f64", 6, -3, 0],
    ["fmod", "i64", -7, 3, -1],
    ["fmod", "i64", -6, 3, 0],
    // integer division
    ["div", "i64", -7, 2, -3],
    ["div", "i64", -1, 2, 0],
    ["div", "i32", 7, 0, 0],
    ["div", "u8", 255, 2, 127],
    // wrapping around
    ["add", "u8", 250, 10, 4],
    ["add", "i8", 127, 1, -128],
    ["sub", "u16", 0, 1, 65535],
    ["mul", "i32", 65537, 65537, 131073],
    ["mul", "u32", 4294967295, 4294967295, 1],
    ["add", "i4", 7, 1, -8],
    ["sub", "u2", 0, 1, 3],
    // powers
    ["pow", "i64", 2, 10, 1024],
    ["pow", "i64", 2, -1, 0],
    ["pow", "i64", 0, -1, 0],
    ["pow", "f32", 1, Number.NaN, 1],
    ["pow", "f32", -1, Infinity, 1],
    ["pow", "f32", -3, 2, 9],
    ["pow", "f32", 4, -0.5, 0.5],
    // NaN
    ["maximum", "f32", Number.NaN, 1, Number.NaN],
    ["minimum", "f32", 1, Number.NaN, Number.NaN],
    ["equal", "f32", Number.NaN, Number.NaN, 0],
    ["mod", "f32", 1, 0, Number.NaN],
    // 64 bits
    ["bitwise_and", "i64", 2 ** 40 + 5, 2 ** 40 + 6, 2 ** 40 + 4],
    ["bitwise_or", "i64", -(2 ** 40), 3, -(2 ** 40) + 3],
    ["bitwise_xor", "u64", 2 ** 52 + 1, 2 ** 33 + 1, 2 ** 52 + 2 ** 33],
    ["bitwise_and", "u32", 4294967295, 4294967294, 4294967294],
    ["shift_left", "u8", 255, 4, 240],
    ["shift_left", "u32", 1, 31, 2 ** 31],
    ["shift_left", "u32", 1, 32, 0],
    ["shift_left", "u64", 1, 64, 0],
    ["shift_right", "u64", 2 ** 52, 50, 4],
    ["shift_right", "i32", -5, 1, -3],
    ["shift_right", "u8", 7, 9, 0],
    // half precision rounds each result
    ["add", "f16", 2048, 1, 2048],
    ["add", "f16", 2048, 3, 2052],
    ["mul", "f16", 256, 256, Infinity],
    ["add", "bf16", 256, 1, 256],
  ])("%s of %s: %f and %f give %f", (op, dtype, a, b, expected) => {
    expect(elements(op, { a: tensor(dtype, [1], [a]), b: tensor(dtype, [1], [b]) })).toEqual([expected]);
    // as one of many elements, in the other code path
    const many = elements(op, { a: tensor(dtype, [2, 1], [a, a]), b: tensor(dtype, [1, 3], [b, b, b]) });
    expect(many).toEqual(new Array(6).fill(expected));
  });

  test("a power's exponent may have another dtype", () => {
    const [result] = run("pow", { a: floats(2, 3), b: vector(3, 2) });
    expect(result!.dtype).toBe("f32");
    expect(Array.from(result!.data)).toEqual([8, 9]);
    expect(elements("pow", { a: vector(2, 9), b: floats(1.5, 0.5) })).toEqual([2, 3]);
  });
});

describe("one tensor", () => {
  test.each<readonly [TestedOp, readonly number[], readonly number[]]>([
    ["neg", [1, -2, 0.5], [-1, 2, -0.5]],
    ["abs", [1, -2, -0.5], [1, 2, 0.5]],
    ["sign", [3, 0, -0.1], [1, 0, -1]],
    ["exp", [0, 1, -Infinity], [1, Math.E, 0]],
    ["log", [1, Math.E, -1], [0, 1, Number.NaN]],
    ["sqrt", [4, 0.25, -1], [2, 0.5, Number.NaN]],
    ["rsqrt", [4, 0.25, 0], [0.5, 2, Infinity]],
    ["reciprocal", [4, -0.5], [0.25, -2]],
    ["floor", [1.5, -1.5], [1, -2]],
    ["ceil", [1.5, -1.5], [2, -1]],
    ["round", [0.5, 1.5, 2.5, -0.7, -1.5, 2.4], [0, 2, 2, -1, -2, 2]],
    ["sin", [0, Math.PI / 6], [0, 0.5]],
    ["cos", [0, Math.PI / 3], [1, 0.5]],
    ["tan", [0, Math.PI / 4], [0, 1]],
    ["asin", [0.5, 2], [Math.PI / 6, Number.NaN]],
    ["acos", [0.5, -1], [Math.PI / 3, Math.PI]],
    ["atan", [1, -Infinity], [Math.PI / 4, -Math.PI / 2]],
    ["sinh", [1], [(Math.E - 1 / Math.E) / 2]],
    ["cosh", [1], [(Math.E + 1 / Math.E) / 2]],
    ["tanh", [0.5, 100], [(Math.E - 1) / (Math.E + 1), 1]],
    ["asinh", [1], [Math.log(1 + Math.SQRT2)]],
    ["acosh", [2], [Math.log(2 + Math.sqrt(3))]],
    ["atanh", [0.5], [Math.log(3) / 2]],
    ["erf", [0, 0.5, -1, 9], [0, 0.5204998778, -0.8427007929, 1]],
    ["sigmoid", [0, Math.log(3), -1000, 1000], [0.5, 0.75, 0, 1]],
    ["relu", [-1, 0, 2, Number.NaN], [0, 0, 2, Number.NaN]],
    ["is_nan", [1, Number.NaN, Infinity], [0, 1, 0]],
  ])("%s", (op, x, expected) => {
    const result = elements(op, { x: tensor("f32", [1, x.length], x) });
    expect(result.length).toBe(expected.length);
    result.forEach((value, i) => {
      expectClose(value, expected[i]!, 6);
    });
  });

  test.each<readonly [TestedOp, DType, readonly number[], readonly number[]]>([
    ["neg", "i64", [3, 0], [-3, 0]],
    ["neg", "i8", [-128], [-128]],
    ["neg", "i4", [-8], [-8]],
    ["abs", "i32", [-3], [3]],
    ["relu", "i8", [-3, 3], [0, 3]],
    ["not", "bool", [0, 1], [1, 0]],
    ["bitwise_not", "u8", [0, 5], [255, 250]],
    ["bitwise_not", "i64", [0, -6], [-1, 5]],
    ["bitwise_not", "u4", [1], [14]],
    ["round", "f16", [2.5, -3.5], [2, -4]],
    ["reciprocal", "bf16", [3], [0.333984375]],
  ])("%s of %s", (op, dtype, x, expected) => {
    expect(elements(op, { x: tensor(dtype, [x.length], x) })).toEqual(expected);
  });

  test("rounding is half to even around every tie", () => {
    for (let n = -6; n <= 6; n++) expect(Math.abs(roundHalfToEven(n + 0.5) % 2)).toBe(0);
    expect(roundHalfToEven(2 ** 52 + 1)).toBe(2 ** 52 + 1);
    expect(roundHalfToEven(0.49999999999999994)).toBe(0);
  });

  test("erf is exact to some units in the last place", () => {
    // as C's library gives them
    const known: readonly (readonly [number, number])[] = [
      [1e-300, 1.1283791670955126e-300],
      [1e-9, 1.1283791670955127e-9],
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [1.5, 0.9661051464753108],
      [1.9999, 0.9953201979070294],
      [2.0001, 0.9953243313041966],
      [2.5, 0.999593047982555],
      [3, 0.9999779095030014],
      [4, 0.9999999845827421],
      [5.9, 0.9999999999999999],
      [Infinity, 1],
    ];
    for (const [x, y] of known) {
      expect(Math.abs(erf(x) / y - 1)).toBeLessThan(1e-15);
      expect(erf(-x)).toBe(-erf(x));
    }
    expect(erf(Number.NaN)).toBeNaN();
    expect(erf(-0)).toBe(-0);
  });

  test("infinities of the signs asked for", () => {
    const x = floats(1, Infinity, -Infinity, Number.NaN);
    expect(elements("is_inf", { x }, { negative: true, positive: true })).toEqual([0, 1, 1, 0]);
    expect(elements("is_inf", { x }, { negative: true, positive: false })).toEqual([0, 0, 1, 0]);
    expect(elements("is_inf", { x }, { negative: false, positive: true })).toEqual([0, 1, 0, 0]);
  });

  test.each<readonly [DType, DType, readonly number[], readonly number[]]>([
    ["f32", "i32", [1.9, -1.9, Number.NaN, 2 ** 31], [1, -1, 0, -(2 ** 31)]],
    ["f32", "i64", [1.9, -1.9, -0.5, Infinity], [1, -1, 0, 0]],
    ["f32", "u8", [255.5, 256, -1], [255, 0, 255]],
    ["f32", "i4", [7, 8, -9], [7, -8, 7]],
    ["f32", "bool", [0, -0, 0.1, Number.NaN], [0, 0, 1, 1]],
    ["f32", "f16", [1 / 3, 70000], [0.333251953125, Infinity]],
    ["f64", "f32", [0.1], [Math.fround(0.1)]],
    ["i64", "i32", [2 ** 32 + 5, -1], [5, -1]],
    ["i64", "f32", [3, -2], [3, -2]],
    ["i64", "bf16", [257], [256]],
    ["i64", "bool", [0, 7], [0, 1]],
    ["i8", "u8", [-1], [255]],
    ["bool", "i64", [0, 1], [0, 1]],
    ["u8", "i8", [200], [-56]],
  ])("cast from %s to %s", (from, to, x, expected) => {
    const [result] = run("cast", { x: tensor(from, [x.length], x) }, { to });
    expect(result!.dtype).toBe(to);
    expect(Array.from(result!.data)).toEqual(expected);
  });
});
