import { describe, expect, test } from "vitest";
import { symbol } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { at, elements, floats, indicesOf, inferred, info, randomTensor, run } from "./harness.ts";

const close = (values: readonly number[], digits = 5) =>
  values.map((value) => (Number.isNaN(value) ? value : expect.closeTo(value, digits)));
const rowsOf = (x: Tensor): number[][] => {
  const width = x.shape[x.shape.length - 1]!;
  return Array.from({ length: x.data.length / width }, (_, i) => [
    ...x.data.slice(i * width, (i + 1) * width),
  ]);
};
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe("softmax", () => {
  test.each([0, 1, 2, -1])("along axis %i", (axis) => {
    const x = randomTensor("f32", [3, 4, 5]);
    const along = axis < 0 ? axis + 3 : axis;
    const expected = indicesOf(x.shape).map((index) => {
      let sum = 0;
      for (let i = 0; i < x.shape[along]!; i++) sum += Math.exp(at(x, index.with(along, i)));
      return Math.exp(at(x, index)) / sum;
    });
    expect(elements("softmax", { x }, { axis })).toEqual(close(expected, 6));
  });

  test("does not overflow, and leaves out what is -∞", () => {
    expect(elements("softmax", { x: floats(1000, 1000, -Infinity) }, { axis: 0 })).toEqual([0.5, 0.5, 0]);
    expect(elements("softmax", { x: floats(-Infinity, -Infinity) }, { axis: 0 })).toEqual([NaN, NaN]);
  });

  test("refuses an axis that is not there", () => {
    expect(() => inferred("softmax", { x: info("f32", [2, 3]) }, { axis: 2 })).toThrow(/no axis 2/);
    expect(() => inferred("softmax", { x: info("i64", [2, 3]) }, { axis: 1 })).toThrow(/float/);
  });
});

describe("normalisation", () => {
  const x = randomTensor("f32", [2, 3, 7]);
  const scale = randomTensor("f32", [7]);
  const bias = randomTensor("f32", [7]);

  test("nn.rms_norm", () => {
    const eps = 0.25;
    const expected = rowsOf(x).flatMap((row) => {
      const rms = Math.sqrt(mean(row.map((value) => value * value)) + eps);
      return row.map((value, i) => (value / rms) * scale.data[i]!);
    });
    expect(elements("nn.rms_norm", { x, scale }, { eps })).toEqual(close(expected));
  });

  test("nn.rms_norm sums in f64", () => {
    const wide = tensor("f32", [1, 4], [2 ** 63, 2 ** 63, 2 ** 63, -(2 ** 63)]);
    const ones = floats(1, 1, 1, 1);
    expect(elements("nn.rms_norm", { x: wide, scale: ones }, { eps: 1e-5 })).toEqual([1, 1, 1, -1]);
  });

  test("nn.layer_norm", () => {
    const eps = 0.125;
    const normalise = (b: (i: number) => number) =>
      rowsOf(x).flatMap((row) => {
        const center = mean(row);
        const deviation = Math.sqrt(mean(row.map((value) => (value - center) ** 2)) + eps);
        return row.map((value, i) => ((value - center) / deviation) * scale.data[i]! + b(i));
      });
    expect(elements("nn.layer_norm", { x, scale }, { eps })).toEqual(close(normalise(() => 0)));
    const withBias = normalise((i) => bias.data[i]!);
    expect(elements("nn.layer_norm", { x, scale, bias }, { eps })).toEqual(close(withBias));
  });

  test("refuses a scale of another width", () => {
    const symbolic = info("f32", [1, symbol("seq"), 8]);
    expect(inferred("nn.rms_norm", { x: symbolic, scale: info("f32", [8]) }, { eps: 0 })).toBe(
      "f32[1, seq, 8]",
    );
    for (const op of ["nn.rms_norm", "nn.layer_norm"] as const)
      expect(() => inferred(op, { x: symbolic, scale: info("f32", [7]) }, { eps: 0 })).toThrow(/one size/);
    const bad = { x: symbolic, scale: info("f32", [8]), bias: info("f32", [1, 8]) };
    expect(() => inferred("nn.layer_norm", bad, { eps: 0 })).toThrow(/bias must have the shape/);
  });
});

describe("activations", () => {
  const x = floats(-30, -2, -0.5, 0, 0.5, 3, NaN);

  test("nn.relu2", () => {
    expect(elements("nn.relu2", { x })).toEqual([0, 0, 0, 0, 0.25, 9, NaN]);
  });

  test("nn.silu", () => {
    const expected = [...x.data].map((value) => value / (1 + Math.exp(-value)));
    expect(elements("nn.silu", { x })).toEqual(close(expected));
  });

  test("nn.gelu, from tables of the normal distribution", () => {
    const exact = [0, -0.0455003, -0.1542688, 0, 0.3457312, 2.9959503, NaN];
    expect(elements("nn.gelu", { x }, { approximate: "none" })).toEqual(close(exact));
    const tanh = elements("nn.gelu", { x }, { approximate: "tanh" });
    expect(tanh[4]).toBeCloseTo(0.345714, 5);
    expect(tanh[5]).toBeCloseTo(2.996363, 5);
  });

  test("round to the dtype and refuse integers", () => {
    expect(elements("nn.relu2", { x: tensor("f16", [1], [300]) })).toEqual([Infinity]);
    expect(() => inferred("nn.silu", { x: info("i32", [1]) })).toThrow(/float/);
  });
});

describe("nn.rope", () => {
  const angle = (position: number, i: number): number => position * 0.3 ** i;
  const table = (f: (angle: number) => number, rows: number, half: number): Tensor =>
    tensor(
      "f32",
      [rows, half],
      indicesOf([rows, half]).map(([t, i]) => f(angle(t!, i!))),
    );

  /** Rotates by complex multiplication. */
  function naive(x: Tensor, half: number, interleaved: boolean, position: (b: number, s: number) => number) {
    const width = x.shape[3]!;
    return indicesOf(x.shape).map((index) => {
      const [b, , s, d] = index as [number, number, number, number];
      if (d >= 2 * half) return at(x, index);
      const pair = interleaved ? d >> 1 : d % half;
      const isImaginary = interleaved ? (d & 1) === 1 : d >= half;
      const element = (at2: number): number => at(x, index.with(3, at2));
      const real = element(interleaved ? 2 * pair : pair);
      const imaginary = element(interleaved ? 2 * pair + 1 : pair + half);
      const theta = angle(position(b, s), pair);
      expect(pair).toBeLessThan(width);
      return isImaginary
        ? real * Math.sin(theta) + imaginary * Math.cos(theta)
        : real * Math.cos(theta) - imaginary * Math.sin(theta);
    });
  }

  const cases = [false, true].flatMap((interleaved) => [3, 2].map((half) => [interleaved, half] as const));
  test.each(cases)("interleaved %s, %i pairs of 6 elements", (interleaved, half) => {
    const x = randomTensor("f32", [2, 3, 4, 6]);
    const [cos, sin] = [table(Math.cos, 9, half), table(Math.sin, 9, half)];
    expect(elements("nn.rope", { x, cos, sin }, { interleaved })).toEqual(
      close(naive(x, half, interleaved, (_, s) => s)),
    );
    const start_pos = tensor("i64", [1], [5]);
    expect(elements("nn.rope", { x, cos, sin, start_pos }, { interleaved })).toEqual(
      close(naive(x, half, interleaved, (_, s) => 5 + s)),
    );
  });

  test.each([1, 2])("a row of angles for each token, %i in the batch", (rows) => {
    const x = randomTensor("f32", [2, 3, 4, 6]);
    const position = (b: number, s: number): number => (rows === 1 ? 0 : b * 7) + 2 * s;
    const perToken = (f: (angle: number) => number): Tensor =>
      tensor(
        "f32",
        [rows, 4, 3],
        indicesOf([rows, 4, 3]).map(([b, s, i]) => f(angle(position(b!, s!), i!))),
      );
    const args = { x, cos: perToken(Math.cos), sin: perToken(Math.sin) };
    expect(elements("nn.rope", args, { interleaved: false })).toEqual(close(naive(x, 3, false, position)));
  });

  test("says when a position is beyond the tables", () => {
    const x = randomTensor("f32", [1, 1, 4, 6]);
    const tables = { cos: table(Math.cos, 8, 3), sin: table(Math.sin, 8, 3) };
    const start_pos = tensor("i64", [1], [5]);
    expect(() => run("nn.rope", { x, ...tables, start_pos }, { interleaved: false })).toThrow(
      new RangeError("Positions 5 to 8 do not fit rotary tables of 8 positions."),
    );
  });

  test("refuses what does not fit", () => {
    const attrs = { interleaved: false };
    const x = info("f32", [2, 3, 4, 6]);
    const tables = (...shape: number[]) => ({ cos: info("f32", shape), sin: info("f32", shape) });
    const start_pos = info("i64", [1]);
    expect(inferred("nn.rope", { x, ...tables(9, 3), start_pos }, attrs)).toBe("f32[2, 3, 4, 6]");
    expect(() => inferred("nn.rope", { x, ...tables(9, 4) }, attrs)).toThrow(/rotates 8 elements of the 6/);
    expect(() => inferred("nn.rope", { x, ...tables(2, 4, 3), start_pos }, attrs)).toThrow(/start_pos/);
    expect(() => inferred("nn.rope", { x, ...tables(2, 5, 3) }, attrs)).toThrow(/S of/);
    expect(() => inferred("nn.rope", { x, ...tables(3, 4, 3) }, attrs)).toThrow(/B of/);
    expect(() => inferred("nn.rope", { x, ...tables(6) }, attrs)).toThrow(/cos must be/);
    const differing = { cos: info("f32", [9, 3]), sin: info("f32", [8, 3]) };
    expect(() => inferred("nn.rope", { x, ...differing }, attrs)).toThrow(/axis 0 of sin/);
    expect(() => inferred("nn.rope", { x, ...tables(9, 3), start_pos: info("i64", []) }, attrs)).toThrow(
      /start_pos/,
    );
    expect(() => inferred("nn.rope", { x: info("f32", [2, 4, 6]), ...tables(9, 3) }, attrs)).toThrow(
      /x must/,
    );
  });
});
