import { describe, expect, test } from "vitest";
import type { DType } from "../../src/tensor/dtype.ts";
import { integerRange } from "../../src/tensor/dtype.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { expectAsReference, type NodeCase, refusalOf } from "./portable-compare.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const types = ["i64", "i32", "i16", "i8", "u8"] as const;
const signed = (dtype: DType, ...numbers: number[]): number[] =>
  dtype === "u8" ? numbers.map(Math.abs) : numbers;
const column = (dtype: DType, ...numbers: number[]): Tensor => tensor(dtype, [numbers.length, 1], numbers);
const row = (dtype: DType, ...numbers: number[]): Tensor => tensor(dtype, [numbers.length], numbers);
const run = (cases: readonly NodeCase[]) =>
  test.each(cases.map((each) => [each.name, each] as const))("%s", (_, each) => expectAsReference(each));

const pairs = (op: string, dtype: DType, a: readonly number[], b: readonly number[]): NodeCase => ({
  name: `${op} of ${dtype}`,
  inputs: { x: `${dtype}[S, 1]`, y: `${dtype}[${b.length}]` },
  node: `${op}(a: %x, b: %y) : ${dtype}[S, ${b.length}]`,
  calls: [
    { x: column(dtype, ...a), y: row(dtype, ...b) },
    { x: column(dtype, a[0]!), y: row(dtype, ...b) },
  ],
});

const dividends = (dtype: DType) => [...signed(dtype, 7, -7, 6, -6, 0, -1), ...ends(dtype)];
/** 64-bit integers are exact in doubles up to 2^53. */
const ends = (dtype: DType): readonly number[] =>
  dtype === "i64" ? [2 ** 53 - 1, 1 - 2 ** 53] : integerRange(dtype)!;
const divisors = (dtype: DType) => signed(dtype, 3, -3, 2, -1, 100, -100);

describe("integers", () => {
  run(
    ["div", "mod", "fmod"].flatMap((op) =>
      types.map((dtype) => pairs(op, dtype, dividends(dtype), divisors(dtype))),
    ),
  );
  run(
    ["bitwise_and", "bitwise_or", "bitwise_xor"].flatMap((op) =>
      types.map((dtype) => pairs(op, dtype, dividends(dtype), divisors(dtype))),
    ),
  );
  run(
    ["maximum", "minimum", "add", "sub"].flatMap((op) =>
      types.map((dtype) => pairs(op, dtype, dividends(dtype), divisors(dtype))),
    ),
  );
  run(
    ["shift_left", "shift_right"].flatMap((op) =>
      types.map((dtype) =>
        pairs(
          op,
          dtype,
          [
            ...signed(dtype, 1, -1, 5, -6),
            ...integerRange(dtype)!.map((end) => (dtype === "i64" ? Math.sign(end) * 2 ** 52 : end)),
          ],
          [0, 1, 3, 7, 8, 31, 32, 40, 61, 64],
        ),
      ),
    ),
  );
  run(types.map((dtype) => pairs("pow", dtype, signed(dtype, 1, -1, 2, -3, 10), [0, 1, 2, 3, 5, 7])));
  run(
    types.map((dtype) => ({
      name: `bitwise_not of ${dtype}`,
      inputs: { x: `${dtype}[S, 1]` },
      node: `bitwise_not(x: %x) : ${dtype}[S, 1]`,
      calls: [{ x: column(dtype, ...dividends(dtype)) }],
    })),
  );
  run(
    ["neg", "abs", "sign", "relu", "floor", "ceil", "round"].flatMap((op) =>
      types.map((dtype) => ({
        name: `${op} of ${dtype}`,
        inputs: { x: `${dtype}[S, 1]` },
        node: `${op}(x: %x) : ${dtype}[S, 1]`,
        calls: [{ x: column(dtype, ...dividends(dtype)) }],
      })),
    ),
  );
  run(
    (["i32", "i64", "f32", "f64", "u8"] as const).flatMap((exponent) =>
      (["i32", "i64", "f32", "f16", "i8"] as const).map((dtype) => ({
        name: `${dtype} to the power of ${exponent}`,
        inputs: { x: `${dtype}[S, 1]`, y: `${exponent}[4]` },
        node: `pow(a: %x, b: %y) : ${dtype}[S, 4]`,
        calls: [
          { x: column(dtype, 1, 2, 5, 4), y: row(exponent, 0, 1, 2, exponent.startsWith("f") ? 0.5 : 3) },
        ],
      })),
    ),
  );
});

describe("remainders of floats", () => {
  const numbers = [5.5, -5.5, 6, -6, 0, nan, inf, -inf, 1e-3];
  const by = [2, -2, 1.5, inf, -inf, 0, nan];
  run(
    (["f32", "f16", "bf16"] as const).flatMap((dtype) =>
      ["mod", "fmod"].map((op) => ({
        ...pairs(op, dtype, numbers, by),
        inputs: { x: `${dtype}[9, 1]`, y: `${dtype}[7]` },
        node: `${op}(a: %x, b: %y) : ${dtype}[9, 7]`,
        calls: [{ x: column(dtype, ...numbers), y: row(dtype, ...by) }],
      })),
    ),
  );
  run([pairs("fmod", "f64", [5.1, -5.1, 1e300], [2.3, -0.1])]);

  test("that of f64 with the divisor's sign is refused", () => {
    const inputs = { x: "f64[3]", y: "f64[3]" };
    expect(refusalOf({ inputs, node: "mod(a: %x, b: %y) : f64[3]" })).toContain("f64");
  });
});

describe("infinity", () => {
  run(
    (["f64", "f32", "f16", "bf16"] as const).flatMap((dtype) =>
      [true, false].flatMap((positive) =>
        [true, false].map((negative) => ({
          name: `is_inf of ${dtype}, positive: ${positive}, negative: ${negative}`,
          inputs: { x: `${dtype}[S, 1]` },
          node: `is_inf(x: %x) {"negative":${negative},"positive":${positive}} : bool[S, 1]`,
          calls: [{ x: column(dtype, 1, inf, nan, -inf, 0) }],
        })),
      ),
    ),
  );
});

describe("products", () => {
  const numbersIn = (dtype: DType, ...shape: number[]): Tensor => {
    const length = shape.reduce((product, size) => product * size, 1);
    return tensor(dtype, shape, signed(dtype, ...Array.from({ length }, (_, i) => ((i * 37) % 19) - 9)));
  };
  const product = (dtype: DType, a: string, b: string, result: string): NodeCase => ({
    name: `${dtype}[${a}] · [${b}]`,
    inputs: { x: `${dtype}[${a}]`, y: `${dtype}[${b}]` },
    node: `matmul(a: %x, b: %y) : ${dtype}[${result}]`,
    calls: [4, 1].map((length) => {
      const sizes = (shape: string) =>
        shape.split(", ").map((size) => (size === "S" ? length : Number(size)));
      return { x: numbersIn(dtype, ...sizes(a)), y: numbersIn(dtype, ...sizes(b)) };
    }),
  });
  run(
    (["f64", "f32", "f16", "bf16", ...types] as const).flatMap((dtype) => [
      product(dtype, "2, S, 3", "3, 4", "2, S, 4"),
      product(dtype, "3", "2, 3, S", "2, S"),
      product(dtype, "S, 2, 3", "3", "S, 2"),
      product(dtype, "2, 1, S, 3", "5, 3, 2", "2, 5, S, 2"),
    ]),
  );
  run(
    (["f32", "i32"] as const).map((dtype) => ({
      ...product(dtype, "S", "S", ""),
      node: `matmul(a: %x, b: %y) : ${dtype}[]`,
    })),
  );

  test("integers wrap, and are exact where f32 is not", () =>
    expectAsReference({
      ...product("i32", "2, 2", "2, 2", "2, 2"),
      calls: [
        {
          x: tensor("i32", [2, 2], [2 ** 24 + 1, 1, 2 ** 30, 2 ** 30]),
          y: tensor("i32", [2, 2], [1, 3, 2, 1]),
        },
      ],
    }));
});
