import { describe, expect, test } from "vitest";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import {
  elementsOf,
  floats,
  importOp,
  microsoft,
  opCounts,
  refusalOf,
  runOp,
  sample,
  sampleInts,
} from "./op-harness.ts";

/** a [M, K] · b [K, N] */
function product(a: Tensor, b: Tensor): number[] {
  const [[m, k], [, n]] = [a.shape, b.shape] as [[number, number], [number, number]];
  return Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += a.data[Math.floor(at / n) * k + i]! * b.data[i * n + (at % n)]!;
    return sum;
  });
}

const transposed = ({ dtype, shape: [rows, columns], data }: Tensor): Tensor =>
  tensor(
    dtype,
    [columns!, rows!],
    Array.from(data, (_, i) => data[(i % rows!) * columns! + Math.floor(i / rows!)]!),
  );

const [a, b] = [sample([3, 4], 1), sample([4, 5], 2)];

describe("Gemm", () => {
  test("each matrix is transposed if asked, both terms have a factor", async () => {
    const c = sample([5], 3);
    const expected = product(a, b).map((sum, i) => sum * 0.5 + 2 * c.data[i % 5]!);
    for (const transA of [0, 1])
      for (const transB of [0, 1]) {
        const inputs = [transA ? transposed(a) : a, transB ? transposed(b) : b, c];
        const attributes = { transA, transB, alpha: 0.5, beta: 2 };
        expect(await elementsOf("Gemm", { inputs, attributes })).toEqual(expected);
      }
  });

  test("a weight that is given transposed makes a linear layer, with its bias", () => {
    const inputs = [a, transposed(b), sample([5], 3)];
    expect(opCounts(importOp("Gemm", { inputs, attributes: { transB: 1 } }))).toEqual({ "nn.linear": 1 });
    const integers = [sampleInts([2, 3], 0, 9, "i32"), sampleInts([4, 3], 0, 9, "i32", 2)];
    const counts = opCounts(importOp("Gemm", { inputs: integers, attributes: { transB: 1 } }));
    expect(counts).toEqual({ transpose: 1, matmul: 1 });
  });
});

describe("integer products", () => {
  const codes = sampleInts([2, 3], 0, 255, "u8", 4);
  const weight = sampleInts([3, 2], -100, 100, "i8", 5);

  test("zero points are taken off rows and columns", async () => {
    const inputs = [codes, weight, tensor("u8", [2], [3, 250]), tensor("i8", [2], [-4, 9])];
    const shifted = (t: Tensor, zero: (i: number) => number) =>
      tensor(
        "f64",
        t.shape,
        Array.from(t.data, (value, i) => value - zero(i)),
      );
    const left = shifted(codes, (i) => [3, 250][Math.floor(i / 3)]!);
    const right = shifted(weight, (i) => [-4, 9][i % 2]!);
    const [y] = await runOp("MatMulInteger", { inputs });
    expect([y!.dtype, ...y!.data]).toEqual(["i32", ...product(left, right)]);
  });

  test("a quantised product is scaled, rounded half to even and saturated", async () => {
    const one = (dtype: "f32" | "u8" | "i8", value: number) => tensor(dtype, [], [value]);
    const left = tensor("u8", [1, 1], [11]);
    const right = tensor("i8", [1, 3], [1, 3, 100]);
    const inputs = [
      left,
      one("f32", 0.5),
      one("u8", 1),
      right,
      one("f32", 0.5),
      one("i8", 0),
      one("f32", 1),
      one("u8", 3),
    ];
    // 10 · [1, 3, 100] · 0.25 = [2.5, 7.5, 250]
    expect(await elementsOf("QLinearMatMul", { inputs })).toEqual([5, 11, 253]);
  });
});

describe("FusedMatMul", () => {
  const fused = (inputs: readonly Tensor[], attributes: Record<string, number>) =>
    runOp("FusedMatMul", { inputs, attributes, domain: microsoft });

  test("the first axis can be moved before the last, and the last two swapped after that", async () => {
    // [K, B, M] → [B, K, M] → [B, M, K]
    const left = tensor("f32", [2, 2, 1], [1, 2, 3, 4]);
    const right = tensor("f32", [2, 2, 1], [10, 20, 30, 40]);
    const [y] = await fused([left, right], { transA: 1, transBatchA: 1, alpha: 0.5 });
    expect([y!.shape, ...y!.data]).toEqual([[2, 1, 1], (10 + 60) / 2, (60 + 160) / 2]);
  });

  test("a matrix that is given transposed is a linear layer's", async () => {
    const call = { inputs: [a, transposed(b)], attributes: { transB: 1 }, domain: microsoft };
    expect(opCounts(importOp("FusedMatMul", call))).toEqual({ "nn.linear": 1 });
    expect(await elementsOf("FusedMatMul", call)).toEqual(product(a, b));
  });
});

describe("Einsum", () => {
  const einsum = (equation: string, ...inputs: Tensor[]) =>
    elementsOf("Einsum", { inputs, attributes: { equation } });
  const x = floats([2, 2], 1, 2, 3, 4);
  const y = floats([2, 2], 5, 6, 7, 8);

  test.each([
    ["ij,jk->ik", [19, 22, 43, 50]],
    ["ij,kj->ki", [17, 39, 23, 53]],
    ["ij,ij->ij", [5, 12, 21, 32]],
    ["ij,ij->", [70]],
    ["ij,jk", [19, 22, 43, 50]],
    ["ij,kl->jl", [48, 56, 72, 84]],
    ["...j,...j->...", [17, 53]],
  ])("%s", async (equation, expected) => {
    expect(await einsum(equation, x, y)).toEqual(expected);
  });

  test("a label that comes twice is a diagonal, and labels are sorted without an arrow", async () => {
    expect(await einsum("ii->i", x)).toEqual([1, 4]);
    expect(await einsum("ii", x)).toEqual([5]);
    expect(await einsum("ba", x)).toEqual([1, 3, 2, 4]);
  });

  test("three operands, batches that broadcast, attention scores", async () => {
    expect(await einsum("ij,jk,k->i", x, y, floats([2], 1, -1))).toEqual([-3, -7]);
    const q = sample([1, 2, 3, 4], 1);
    const k = sample([2, 2, 5, 4], 2);
    const scores = await runOp("Einsum", { inputs: [q, k], attributes: { equation: "...qd,...kd->...qk" } });
    expect(scores[0]!.shape).toEqual([2, 2, 3, 5]);
    const [row, key] = [[...q.data.subarray(16, 20)], [...k.data.subarray(64, 68)]];
    // batch 1, head 1, query 1, key 1
    expect(scores[0]!.data[1 * 30 + 1 * 15 + 1 * 5 + 1]).toBe(
      row.reduce((sum, v, i) => sum + v * key[i]!, 0),
    );
  });

  test("an equation for other tensors is refused", () => {
    const refused = (equation: string) => refusalOf("Einsum", { inputs: [x, y], attributes: { equation } });
    expect(refused("ij->ij")).toContain("2 inputs");
    expect(refused("ijk,jk->i")).toContain("rank of input 0");
  });
});
