import { describe, expect, test } from "vitest";
import { formatType } from "../../src/ir/type.ts";
import { dimKey, symbol } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { attention, expectClose, minus } from "./attention-reference.ts";
import { importOp, microsoft, opCounts, refusalOf, runOp, sample } from "./op-harness.ts";

describe("GroupQueryAttention", () => {
  const [past, length] = [symbol("past"), symbol("length")];
  const of = (...shape: (number | typeof past)[]) => ({ dtype: "f32", shape }) as const;
  const count = tensor("i32", [1], [7]);
  const tables = [sample([16, 4], 1), sample([16, 4], 2)];
  const cache = [of(1, 2, past, 8), of(1, 2, past, 8)];
  const attributes = { num_heads: 4, kv_num_heads: 2 };
  const outputs = ["y", "k", "v"];

  test("becomes one op after a cache that grows", () => {
    const inputs = [of(1, length, 32), of(1, length, 16), of(1, length, 16), ...cache, count, count];
    const imported = importOp("GroupQueryAttention", { inputs, attributes, outputs, domain: microsoft });
    expect(imported.results.map(({ type }) => formatType(type))).toEqual([
      "f32[1, length, 32]",
      "f32[1, 2, length + past, 8]",
      "f32[1, 2, length + past, 8]",
    ]);
    const sdpa = imported.graph.nodes.find(({ op }) => op === "nn.sdpa")!;
    expect(sdpa.attrs).toMatchObject({ causal: true, window: 0, softcap: 0 });
    expect(sdpa.args).not.toHaveProperty("mask");
  });

  test("packed inputs are taken apart, and positions follow the past", () => {
    const inputs = [of(1, length, 64), undefined, undefined, ...cache, count, count, ...tables];
    const rotary = { ...attributes, do_rotary: 1, local_window_size: 4, softcap: 2 };
    const imported = importOp("GroupQueryAttention", {
      inputs,
      attributes: rotary,
      outputs,
      domain: microsoft,
    });
    expect(opCounts(imported)).toMatchObject({ slice: 3, "nn.rope": 2, gather: 2, "nn.sdpa": 1, range: 1 });
    const range = imported.graph.nodes.find(({ op }) => op === "range")!;
    expect(["start", "limit"].map((name) => range.arg(name).contents?.map(dimKey))).toEqual([
      ["past"],
      ["length + past"],
    ]);
    const sdpa = imported.graph.nodes.find(({ op }) => op === "nn.sdpa")!;
    expect(sdpa.attrs).toMatchObject({ causal: true, window: 4, softcap: 2 });
  });

  test("computes what its parts do", async () => {
    const [query, key, value] = [sample([1, 2, 32], 3), sample([1, 2, 16], 4), sample([1, 2, 16], 5)];
    const [pastK, pastV] = [sample([1, 2, 3, 8], 6), sample([1, 2, 3, 8], 7)];
    const norm = sample([8], 8);
    const common = [query, key, value, pastK, pastV, count, count];
    const extras = [undefined, undefined, undefined, undefined, undefined, undefined, undefined, norm, norm];
    const call = { inputs: [...common, ...extras], attributes, outputs, domain: microsoft };
    const [y, presentK, presentV] = await runOp("GroupQueryAttention", call);
    // heads [1, 2, 4, 8] → [1, 4, 2, 8], each normalised and multiplied by the weight
    const heads = (x: Tensor, n: number) =>
      tensor(
        "f32",
        [1, n, 2, 8],
        Array.from(
          x.data,
          (_, i) => x.data[(Math.floor(i / 8) % 2) * n * 8 + Math.floor(i / 16) * 8 + (i % 8)]!,
        ),
      );
    const normed = heads(query, 4);
    for (let row = 0; row < 8; row++) {
      const part = normed.data.subarray(row * 8, row * 8 + 8);
      const rms = Math.sqrt(Array.from(part).reduce((sum, e) => sum + e * e, 0) / 8 + 1e-6);
      part.forEach((e, i) => {
        part[i] = (e / rms) * norm.data[i]!;
      });
    }
    const expected = attention(normed, presentK!, presentV!, (_b, _h, i, j) => (j <= i + 3 ? 0 : minus));
    const joined = Array.from(
      y!.data,
      (_, i) => expected[(Math.floor(i / 8) % 4) * 16 + Math.floor(i / 32) * 8 + (i % 8)]!,
    );
    expectClose(y!.data, joined);
    expect([...presentV!.data.subarray(24, 40)]).toEqual([...heads(value, 2).data.subarray(0, 16)]);
  });

  test("what is not supported is refused by name, all at once", () => {
    const inputs = [of(1, length, 32), of(1, length, 16), of(1, length, 16), ...cache, count, count];
    const call = {
      inputs,
      attributes: { ...attributes, smooth_softmax: 1, kv_cache_bit_width: 8 },
      domain: microsoft,
    };
    expect(refusalOf("GroupQueryAttention", call)).toMatch(
      /smooth softmax, a quantised cache are not supported/,
    );
  });
});

describe("MultiHeadAttention", () => {
  test("takes q, k and v packed in any way", async () => {
    const x = sample([1, 3, 2, 3, 4], 9);
    const part = (n: number) =>
      tensor(
        "f32",
        [1, 3, 8],
        Array.from({ length: 24 }, (_, i) => x.data[Math.floor(i / 4) * 12 + n * 4 + (i % 4)]!),
      );
    const call = { attributes: { num_heads: 2 }, domain: microsoft };
    const [packed] = await runOp("MultiHeadAttention", { inputs: [x], ...call });
    const [separate] = await runOp("MultiHeadAttention", { inputs: [part(0), part(1), part(2)], ...call });
    expect([...packed!.data]).toEqual([...separate!.data]);
  });

  test("a padding mask adds the filter value", async () => {
    const [query, key] = [sample([1, 2, 4], 1), sample([1, 3, 4], 2)];
    const mask = tensor("i32", [1, 3], [1, 1, 0]);
    const inputs = [query, key, key, undefined, mask];
    const attributes = { num_heads: 1, mask_filter_value: -1.5 };
    const [y] = await runOp("MultiHeadAttention", { inputs, attributes, domain: microsoft });
    const shaped = (x: Tensor) => ({ ...x, shape: [1, 1, ...x.shape.slice(1)] });
    const expected = attention(shaped(query), shaped(key), shaped(key), (_b, _h, _i, j) =>
      j === 2 ? -1.5 : 0,
    );
    expectClose(y!.data, expected);
  });
});
