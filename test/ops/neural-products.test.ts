import { describe, expect, test } from "vitest";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { at, elements, floats, indicesOf, inferred, info, randomTensor, run, vector } from "./harness.ts";

/** NumPy's matmul by its definition, for two or more axes. */
function naiveMatmul(a: Tensor, b: Tensor, shape: readonly number[]): number[] {
  const depth = a.shape[a.shape.length - 1]!;
  return indicesOf(shape).map((index) => {
    const [row, column] = index.slice(-2) as [number, number];
    const batch = index.slice(0, -2);
    const own = (t: Tensor): number[] => {
      const axes = t.shape.slice(0, -2);
      return axes.map((size, i) => (size === 1 ? 0 : batch[batch.length - axes.length + i]!));
    };
    let sum = 0;
    for (let k = 0; k < depth; k++) sum += at(a, [...own(a), row, k]) * at(b, [...own(b), k, column]);
    return sum;
  });
}

describe("matmul", () => {
  test.each([
    [
      [1, 1],
      [1, 1],
      [1, 1],
    ],
    [
      [1, 5],
      [5, 7],
      [1, 7],
    ],
    [
      [2, 6],
      [6, 3],
      [2, 3],
    ],
    [
      [3, 1],
      [1, 4],
      [3, 4],
    ],
    [
      [7, 9],
      [9, 4],
      [7, 4],
    ],
    [
      [8, 5],
      [5, 1],
      [8, 1],
    ],
    [
      [9, 3],
      [3, 2],
      [9, 2],
    ],
    [
      [11, 33],
      [33, 10],
      [11, 10],
    ],
    [
      [4, 0],
      [0, 3],
      [4, 3],
    ],
    [
      [9, 0],
      [0, 3],
      [9, 3],
    ],
    [
      [0, 4],
      [4, 3],
      [0, 3],
    ],
    [
      [3, 2, 5],
      [5, 4],
      [3, 2, 4],
    ],
    [
      [2, 3, 5, 4],
      [4, 2],
      [2, 3, 5, 2],
    ],
    [
      [2, 3, 4],
      [2, 4, 5],
      [2, 3, 5],
    ],
    [
      [2, 1, 9, 4],
      [3, 4, 5],
      [2, 3, 9, 5],
    ],
    [
      [5, 4],
      [3, 4, 2],
      [3, 5, 2],
    ],
    [
      [1, 1, 5, 4],
      [1, 1, 1, 4, 2],
      [1, 1, 1, 5, 2],
    ],
  ])("%j by %j", (left, right, shape) => {
    const [a, b] = [randomTensor("f32", left), randomTensor("f32", right)];
    const [result] = run("matmul", { a, b });
    expect(result!.shape).toEqual(shape);
    expect([...result!.data]).toEqual(naiveMatmul(a, b, shape).map((value) => expect.closeTo(value, 4)));
  });

  test("a 1-D argument is a row or a column, and its axis is gone", () => {
    const [vector, matrix] = [floats(1, 2, 3), tensor("f32", [3, 2], [1, 2, 3, 4, 5, 6])];
    expect(run("matmul", { a: vector, b: matrix })[0]).toMatchObject({ shape: [2] });
    expect(elements("matmul", { a: vector, b: matrix })).toEqual([22, 28]);
    const transposed = tensor("f32", [2, 3], [1, 2, 3, 4, 5, 6]);
    expect(elements("matmul", { a: transposed, b: vector })).toEqual([14, 32]);
    expect(run("matmul", { a: vector, b: vector })[0]).toMatchObject({ shape: [], data: floats(14).data });
    const batch = run("matmul", { a: tensor("f32", [2, 2, 3]), b: vector })[0];
    expect(batch!.shape).toEqual([2, 2]);
  });

  test("multiplies integers exactly and wraps them", () => {
    const big = tensor("i32", [1, 2], [2 ** 30, 2 ** 30]);
    expect(elements("matmul", { a: big, b: tensor("i32", [2, 1], [1, 1]) })).toEqual([-(2 ** 31)]);
    const [a, b] = [randomTensor("i64", [9, 11]), randomTensor("i64", [11, 5])];
    expect(elements("matmul", { a, b })).toEqual(naiveMatmul(a, b, [9, 5]));
    expect(elements("matmul", { a: tensor("u8", [1, 1], [200]), b: tensor("u8", [1, 1], [2]) })).toEqual([
      144,
    ]);
  });

  test("rounds to the 16-bit floats", () => {
    const one = tensor("f16", [1, 2], [1, 1]);
    expect(elements("matmul", { a: one, b: tensor("f16", [2, 1], [2048, 1]) })).toEqual([2048]);
  });

  test("sums in f64", () => {
    const b = tensor("f32", [3, 1], [1, 1, 1]);
    for (const rows of [1, 8]) {
      const a = tensor("f32", [rows, 3], Array.from({ length: rows }, () => [2 ** 24, 1, -(2 ** 24)]).flat());
      expect(elements("matmul", { a, b })).toEqual(Array(rows).fill(1));
    }
  });

  test("refuses what does not fit", () => {
    expect(() => inferred("matmul", { a: info("f32", [2, 3]), b: info("f32", [4, 2]) })).toThrow(/one size/);
    expect(() => inferred("matmul", { a: info("f32", [2, 3]), b: info("f16", [3, 2]) })).toThrow(/one dtype/);
    expect(() => inferred("matmul", { a: info("f32", []), b: info("f32", [3, 2]) })).toThrow(/axis/);
    const batches = { a: info("f32", [2, 3, 3]), b: info("f32", [4, 3, 3]) };
    expect(() => inferred("matmul", batches)).toThrow(/do not broadcast/);
  });
});

describe("nn.linear", () => {
  const naive = (x: Tensor, weight: Tensor, bias?: Tensor): number[] => {
    const [columns, depth] = weight.shape as [number, number];
    const rows = x.data.length / depth;
    return indicesOf([rows, columns]).map(([m, n]) => {
      let sum = bias?.data[n!] ?? 0;
      for (let k = 0; k < depth; k++) sum += x.data[m! * depth + k]! * weight.data[n! * depth + k]!;
      return expect.closeTo(sum, 4);
    });
  };

  const cases = [1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((rows) =>
    [
      [1, 1],
      [3, 5],
      [4, 8],
      [5, 7],
      [7, 259],
    ].map(([columns, depth]) => [rows, columns!, depth!] as const),
  );
  test.each(cases)("%i rows, weight [%i, %i]", (rows, columns, depth) => {
    const [x, weight] = [randomTensor("f32", [rows, depth]), randomTensor("f32", [columns, depth])];
    const bias = randomTensor("f32", [columns]);
    expect(elements("nn.linear", { x, weight })).toEqual(naive(x, weight));
    expect(elements("nn.linear", { x, weight, bias })).toEqual(naive(x, weight, bias));
  });

  test("works in blocks when the rows do not fit the panel", () => {
    const [x, weight] = [randomTensor("f32", [9, 20_000]), randomTensor("f32", [4, 20_000])];
    const found = elements("nn.linear", { x, weight });
    naive(x, weight).forEach((value, i) => {
      expect(found[i]).toBeCloseTo((value as unknown as { sample: number }).sample, 2);
    });
  });

  test("takes 16-bit weights, and gives x's dtype", () => {
    const x = randomTensor("f32", [2, 3, 4]);
    const weight = tensor("bf16", [2, 4], [1, 0, 0, 0, 0, 1, 0, 0]);
    const [result] = run("nn.linear", { x, weight });
    expect(result!.shape).toEqual([2, 3, 2]);
    expect(result!.dtype).toBe("f32");
    expect([...result!.data]).toEqual([...x.data].filter((_, i) => i % 4 < 2));
    const narrow = run("nn.linear", {
      x: tensor("f16", [1, 2], [2048, 1]),
      weight: tensor("f32", [1, 2], [1, 1]),
    });
    expect(narrow[0]).toMatchObject({ dtype: "f16", data: floats(2048).data });
  });

  test("refuses what does not fit", () => {
    const x = info("f32", [2, 4]);
    expect(inferred("nn.linear", { x, weight: info("f16", [3, 4]) })).toBe("f32[2, 3]");
    expect(() => inferred("nn.linear", { x, weight: info("f32", [3, 5]) })).toThrow(/one size/);
    expect(() => inferred("nn.linear", { x, weight: info("i8", [3, 4]) })).toThrow(/weight must be a float/);
    expect(() => inferred("nn.linear", { x, weight: info("f32", [4]) })).toThrow(
      /weight must have the shape/,
    );
    const bias = info("f32", [4]);
    expect(() => inferred("nn.linear", { x, weight: info("f32", [3, 4]), bias })).toThrow(/N/);
  });
});

describe("nn.linear with int8 rows", () => {
  /** Each step as the definition has it; exact, for the sums are added up in the same order. */
  const naive = (x: Tensor, codes: Tensor, scale: Tensor, bias?: Tensor): number[] => {
    const [columns, depth] = codes.shape as [number, number];
    return indicesOf([x.shape[0]!, columns]).map(([m, n]) => {
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += x.data[m! * depth + k]! * codes.data[n! * depth + k]!;
      const scaled = Math.fround(sum) * scale.data[n!]!;
      return Math.fround(bias === undefined ? scaled : scaled + bias.data[n!]!);
    });
  };
  const randomCodes = (shape: readonly number[]): Tensor => {
    const { data } = randomTensor("f32", shape);
    return tensor(
      "i8",
      shape,
      Array.from(data, (value: number) => Math.round((value / 4) * 127)),
    );
  };

  const cases = [1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((rows) =>
    [
      [1, 1],
      [3, 5],
      [4, 8],
      [5, 7],
      [6, 12],
      [7, 259],
      [9, 260],
      [2, 0],
      [0, 4],
    ].map(([columns, depth]) => [rows, columns!, depth!] as const),
  );
  test.each(cases)("%i rows, weight [%i, %i]", (rows, columns, depth) => {
    const [x, weight] = [randomTensor("f32", [rows, depth]), randomCodes([columns, depth])];
    const [scale, bias] = [randomTensor("f32", [columns]), randomTensor("f32", [columns])];
    expect(elements("nn.linear", { x, weight, scale })).toEqual(naive(x, weight, scale));
    expect(elements("nn.linear", { x, weight, scale, bias })).toEqual(naive(x, weight, scale, bias));
  });

  test("takes every code, and codes that begin anywhere in memory", () => {
    const depth = 256;
    const memory = new Int8Array(3 * depth + 1).map((_, i) => ((i * 7) % 255) - 127);
    const x = randomTensor("f32", [1, depth]);
    const scale = floats(1, 0.5, 2);
    for (const from of [0, 1]) {
      const data = memory.subarray(from, from + 3 * depth);
      const weight: Tensor = { dtype: "i8", shape: [3, depth], data };
      expect(elements("nn.linear", { x, weight, scale })).toEqual(naive(x, weight, scale));
    }
  });

  test("gives x's dtype", () => {
    const [weight, scale] = [tensor("i8", [1, 2], [64, 1]), floats(2)];
    const [result] = run("nn.linear", { x: tensor("f16", [1, 2], [32, 0.5]), weight, scale });
    expect(result).toMatchObject({ dtype: "f16", data: floats(4096).data });
    expect(run("nn.linear", { x: tensor("f64", [1, 2], [0.1, 0.2]), weight, scale })[0]).toEqual(
      tensor("f64", [1, 1], [(0.1 * 64 + 0.2) * 2]),
    );
  });

  test("refuses what does not fit", () => {
    const [x, weight, scale] = [info("f32", [2, 4]), info("i8", [3, 4]), info("f32", [3])];
    expect(inferred("nn.linear", { x, weight, scale })).toBe("f32[2, 3]");
    const wrong = (args: Parameters<typeof inferred>[1], message: RegExp) =>
      expect(() => inferred("nn.linear", { x, weight, scale, ...args })).toThrow(message);
    wrong({ weight: info("f32", [3, 4]) }, /weight must be i8 where there is a scale, and is f32/);
    wrong({ scale: info("f16", [3]) }, /scale must be f32, and is f16/);
    wrong({ scale: info("f32", [4]) }, /one size/);
    wrong({ scale: info("f32", [3, 1]) }, /scale must have the shape/);
    wrong({ x: info("i8", [2, 4]) }, /x must be a float/);
  });
});

describe("nn.embedding", () => {
  const table = tensor("f16", [3, 2], [1, 2, 3, 4, 5, 6]);

  test("looks rows up, in f32", () => {
    const [result] = run("nn.embedding", { table, ids: tensor("i64", [1, 3], [2, 0, 2]) });
    expect(result).toEqual(tensor("f32", [1, 3, 2], [5, 6, 1, 2, 5, 6]));
  });

  test("scales rows of int8 codes", () => {
    const codes = tensor("i8", [3, 2], [1, -2, 127, 0, -127, 5]);
    const scale = floats(1, 0.1, 3);
    const [result] = run("nn.embedding", { table: codes, ids: tensor("i64", [2, 2], [1, 0, 2, 1]), scale });
    const row = [Math.fround(127 * scale.data[1]!), 0];
    expect(result).toEqual(tensor("f32", [2, 2, 2], [...row, 1, -2, -381, 15, ...row]));
  });

  test("takes floats without a scale and codes with one", () => {
    const [ids, scale] = [info("i64", [1]), info("f32", [3])];
    expect(inferred("nn.embedding", { table: info("i8", [3, 2]), ids, scale })).toBe("f32[1, 2]");
    expect(() => inferred("nn.embedding", { table: info("i8", [3, 2]), ids })).toThrow(
      /table must be a float/,
    );
    expect(() => inferred("nn.embedding", { table: info("f16", [3, 2]), ids, scale })).toThrow(
      /table must be i8/,
    );
    expect(() => inferred("nn.embedding", { table: info("i8", [4, 2]), ids, scale })).toThrow(/one size/);
  });

  test("says which id is not in the vocabulary", () => {
    for (const id of [3, -1])
      expect(() => run("nn.embedding", { table, ids: vector(id) })).toThrow(
        new RangeError(`Id ${id} is outside the vocabulary, whose ids are 0 to 2.`),
      );
  });

  test("refuses ids that are no integers", () => {
    expect(() => inferred("nn.embedding", { table: info("f32", [3, 2]), ids: info("f32", [1]) })).toThrow(
      /ids/,
    );
  });
});
