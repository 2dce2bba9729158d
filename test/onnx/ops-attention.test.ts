import { describe, expect, test } from "vitest";
import { formatType } from "../../src/ir/type.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { attention, expectClose, type Mask, minus } from "./attention-reference.ts";
import { importOp, microsoft, opCounts, refusalOf, runOp, sample } from "./op-harness.ts";

const all: Mask = () => 0;
const [q, k, v] = [sample([2, 4, 3, 8], 1), sample([2, 2, 5, 8], 2), sample([2, 2, 5, 6], 3)];
const attend = async (inputs: readonly (Tensor | undefined)[], attributes = {}) =>
  (await runOp("Attention", { inputs, attributes, opset: 25 }))[0]!.data;

describe("Attention", () => {
  test("is one op that shares heads of k and v", async () => {
    const imported = importOp("Attention", { inputs: [q, k, v], opset: 23 });
    expect(opCounts(imported)).toEqual({ "nn.sdpa": 1 });
    expect(imported.results[0]!.node!.attrs.scale).toBe(Math.fround(1 / Math.sqrt(8)));
    expectClose(await attend([q, k, v]), attention(q, k, v, all));
    expectClose(await attend([q, k, v], { scale: 0.25 }), attention(q, k, v, all, 0.25));
  });

  test("three-dimensional inputs are split into heads, and the result is joined", async () => {
    const flat = (x: Tensor): Tensor => {
      const [b, h, s, d] = x.shape as [number, number, number, number];
      const from = (i: number) => {
        const [batch, row, head, column] = [
          Math.floor(i / (s * h * d)),
          Math.floor(i / (h * d)) % s,
          Math.floor(i / d) % h,
          i % d,
        ];
        return x.data[((batch * h + head) * s + row) * d + column]!;
      };
      return tensor(
        "f32",
        [b, s, h * d],
        Array.from(x.data, (_, i) => from(i)),
      );
    };
    const result = await attend([q, k, v].map(flat), { q_num_heads: 4, kv_num_heads: 2 });
    const heads = tensor("f32", [2, 4, 3, 6], attention(q, k, v, all));
    expectClose(result, [...flat(heads).data]);
  });

  test("masks add to the scores or hide keys, and one that is too short hides the rest", async () => {
    const added = sample([3, 5], 4);
    expectClose(
      await attend([q, k, v, added]),
      attention(q, k, v, (_b, _h, i, j) => added.data[i * 5 + j]!),
    );
    const kept = tensor("bool", [1, 3], [1, 0, 1]);
    expectClose(
      await attend([q, k, v, kept]),
      attention(q, k, v, (_b, _h, _i, j) => (j === 0 || j === 2 ? 0 : minus)),
    );
  });

  test("a query that sees nothing gives zeros", async () => {
    const none = tensor(
      "bool",
      [3, 5],
      Array.from({ length: 15 }, (_, i) => Number(i >= 5)),
    );
    expectClose(
      await attend([q, k, v, none]),
      attention(q, k, v, (_b, _h, i) => (i === 0 ? minus : 0)),
    );
  });

  test("queries start after the past, which comes before the new keys", async () => {
    const [newK, newV] = [sample([2, 2, 3, 8], 5), sample([2, 2, 3, 6], 6)];
    const call = {
      inputs: [q, newK, newV, undefined, k, v],
      attributes: { is_causal: 1 },
      outputs: ["y", "k", "v"],
    };
    const [y, presentK, presentV] = await runOp("Attention", call);
    expect([presentK!.shape, presentV!.shape]).toEqual([
      [2, 2, 8, 8],
      [2, 2, 8, 6],
    ]);
    expect([...presentK!.data.subarray(0, 40)]).toEqual([...k.data.subarray(0, 40)]);
    expectClose(
      y!.data,
      attention(q, presentK!, presentV!, (_b, _h, i, j) => (j <= i + 5 ? 0 : minus)),
    );
    expect(opCounts(importOp("Attention", call))).toEqual({ concat: 2, "nn.sdpa": 1 });
  });

  test("without a past the first query is the first position, however many keys there are", async () => {
    expectClose(
      await attend([q, k, v], { is_causal: 1 }),
      attention(q, k, v, (_b, _h, i, j) => (j <= i ? 0 : minus)),
    );
  });

  test("rows beyond a batch's length are not looked at, and its queries are the last of it", async () => {
    const lengths = tensor("i64", [2], [2, 4]);
    const last = (b: number, i: number) => lengths.data[b]! - 3 + i;
    const inputs = [q, k, v, undefined, undefined, undefined, lengths];
    expectClose(
      await attend(inputs),
      attention(q, k, v, (b, _h, _i, j) => (j < lengths.data[b]! ? 0 : minus)),
    );
    const causal = await attend(inputs, { is_causal: 1 });
    expectClose(
      causal,
      attention(q, k, v, (b, _h, i, j) => (j <= last(b, i) ? 0 : minus)),
    );
  });

  test("windows count from the query's own position", async () => {
    const near: Mask = (_b, _h, i, j) => (j >= i - 1 && j <= i + 2 ? 0 : minus);
    expectClose(
      await attend([q, k, v], { left_window_size: 1, right_window_size: 2 }),
      attention(q, k, v, near),
    );
    const square = sample([1, 2, 4, 4], 7);
    const imported = importOp("Attention", {
      inputs: [square, square, square],
      attributes: { is_causal: 1, left_window_size: 1 },
    });
    expect(imported.results[0]!.node!.attrs).toMatchObject({ causal: true, window: 2 });
  });

  test("scores are reported at the stage the node asks for", async () => {
    const mask = tensor("bool", [5], [1, 1, 1, 1, 0]);
    const scores = async (mode: number) => {
      const attributes = { qk_matmul_output_mode: mode, softcap: 0.5 };
      const results = await runOp("Attention", {
        inputs: [q, k, v, mask],
        attributes,
        outputs: ["y", "", "", "qk"],
      });
      return [...results[1]!.data.subarray(0, 5)];
    };
    const raw = await scores(0);
    const capped = raw.map((score) => 0.5 * Math.tanh(score / 0.5));
    expectClose(await scores(1), capped);
    expect((await scores(2)).at(-1)).toBe(minus);
    const [, ...rest] = await scores(3);
    expect(rest.at(-1)).toBe(0);
    const total = capped.slice(0, 4).reduce((sum, score) => sum + Math.exp(score), 0);
    expect(rest[0]).toBeCloseTo(Math.exp(capped[1]!) / total, 5);
    expect(
      refusalOf("Attention", {
        inputs: [q, k, v],
        attributes: { qk_matmul_output_mode: 4 },
        outputs: ["y", "", "", "qk"],
      }),
    ).toContain("mode 4");
  });
});

describe("RotaryEmbedding", () => {
  const angles = Array.from({ length: 6 * 2 }, (_, i) => Math.floor(i / 2) * (i % 2 === 0 ? 1 : 0.1));
  const cos = tensor("f32", [6, 2], angles.map(Math.cos));
  const sin = tensor("f32", [6, 2], angles.map(Math.sin));
  const positions = tensor("i64", [1, 3], [4, 0, 2]);
  const x = sample([1, 2, 3, 6], 8);

  /** The first four of the six elements are rotated. */
  function rotated(at: (s: number) => number, pair: (i: number) => readonly [number, number]): number[] {
    const out = [...x.data];
    for (let row = 0; row < 6; row++)
      for (let i = 0; i < 2; i++) {
        const angle = at(row % 3) * 2 + i;
        const [p, r] = pair(i).map((e) => row * 6 + e) as [number, number];
        out[p] = x.data[p]! * cos.data[angle]! - x.data[r]! * sin.data[angle]!;
        out[r] = x.data[r]! * cos.data[angle]! + x.data[p]! * sin.data[angle]!;
      }
    return out;
  }
  const halves = (i: number) => [i, i + 2] as const;

  test("rows of the tables are taken at the positions", async () => {
    const inputs = [x, cos, sin, positions];
    const [y] = await runOp("RotaryEmbedding", {
      inputs,
      attributes: { rotary_embedding_dim: 4 },
      opset: 23,
    });
    expectClose(
      y!.data,
      rotated((s) => positions.data[s]!, halves),
    );
    const attributes = { rotary_embedding_dim: 4, interleaved: 1 };
    const [z] = await runOp("RotaryEmbedding", { inputs, attributes, opset: 23 });
    expectClose(
      z!.data,
      rotated(
        (s) => positions.data[s]!,
        (i) => [2 * i, 2 * i + 1],
      ),
    );
  });

  test("Microsoft's takes the position of the first token too, and flat heads", async () => {
    const inputs = [x, tensor("i64", [1], [2]), cos, sin];
    const [y] = await runOp("RotaryEmbedding", { inputs, attributes: { num_heads: 2 }, domain: microsoft });
    expectClose(
      y!.data,
      rotated((s) => s + 2, halves),
    );
    const flat = { dtype: "f32", shape: [1, symbol("length"), 12] } as const;
    const call = {
      inputs: [flat, ...inputs.slice(1)],
      attributes: { num_heads: 2, rotary_embedding_dim: 4 },
      domain: microsoft,
    };
    expect(importOp("RotaryEmbedding", call).results.map(({ type }) => formatType(type))).toEqual([
      "f32[1, length, 12]",
    ]);
  });
});
