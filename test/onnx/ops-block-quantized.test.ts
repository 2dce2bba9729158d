import { describe, expect, test } from "vitest";
import { asRows, dequantizeWeight, unpackCodes } from "../../src/frontend/onnx/ops/block-quantized.ts";
import { inlineWeight, readWeight, type WeightRef } from "../../src/ir/weights.ts";
import { encodeElements, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import {
  constant,
  elementsOf,
  fileLike,
  floats,
  importOp,
  ints,
  microsoft,
  opCounts,
  refusalOf,
  runOp,
  sample,
  sampleInts,
} from "./op-harness.ts";

const bitsDType = { 2: "u2", 4: "u4", 8: "u8" } as const;

/** Codes [rows, columns] packed into bytes, each row by itself. */
function packed(codes: Tensor, bits: 2 | 4 | 8): Tensor {
  const [rows, columns] = codes.shape as [number, number];
  const bytes = Array.from({ length: rows }, (_, row) => [
    ...encodeElements(bitsDType[bits], codes.data.subarray(row * columns, (row + 1) * columns)),
  ]);
  return tensor("u8", [rows, bytes[0]!.length], bytes.flat());
}

describe("MatMulNBits", () => {
  const blockSize = 16;
  const n = 3;

  /** A weight [n, k] in blocks along k, the last one filled up with codes that mean nothing. */
  function quantized(bits: 2 | 4 | 8, k: number) {
    const blocks = Math.ceil(k / blockSize);
    const codes = sampleInts([n, blocks * blockSize], 0, 2 ** bits, "u8", bits);
    const scales = sample([n, blocks], bits + 1);
    const zeros = sampleInts([n, blocks], 0, 2 ** bits, "u8", bits + 2);
    const valuesWith = (
      zeroOf: (row: number, block: number) => number,
      blockOf = (i: number) => Math.floor(i / blockSize),
    ) =>
      Array.from({ length: n * k }, (_, at) => {
        const [row, i] = [Math.floor(at / k), at % k];
        const block = blockOf(i);
        const code = codes.data[row * blocks * blockSize + i]!;
        return Math.fround((code - zeroOf(row, block)) * scales.data[row * blocks + block]!);
      });
    const b = { ...packed(codes, bits), shape: [n, blocks, (blockSize * bits) / 8] };
    return { blocks, b, scales, zeros, valuesWith, attributes: { K: k, N: n, bits, block_size: blockSize } };
  }

  /** The weight of the linear layer that the node becomes. */
  async function weightOf(inputs: readonly WeightRef[], attributes: Record<string, number>) {
    const x = sample([1, attributes.K!]);
    const imported = importOp("MatMulNBits", { inputs: [x, ...inputs], attributes, domain: microsoft });
    expect(opCounts(imported)).toEqual({ "nn.linear": 1 });
    const { def } = imported.graph.nodes[0]!.arg("weight");
    if (def.kind !== "const") throw new Error("the weight is not a constant");
    const weight = await readWeight(def.data);
    expect([weight.dtype, weight.shape]).toEqual(["f32", [n, attributes.K]]);
    return [...weight.data];
  }

  for (const bits of [2, 4, 8] as const)
    for (const k of [32, 40]) {
      test(`${bits} bits, K = ${k}: the values are exact with every form of zero points`, async () => {
        const { blocks, b, scales, zeros, valuesWith, attributes } = quantized(bits, k);
        const [weight, scale] = [constant(b), constant(scales)];
        expect(await weightOf([weight, scale], attributes)).toEqual(valuesWith(() => 2 ** (bits - 1)));
        const zeroOf = (row: number, block: number) => zeros.data[row * blocks + block]!;
        const bytes = packed(zeros, bits);
        const flat = (t: Tensor) => constant({ ...t, shape: [t.data.length] });
        expect(await weightOf([weight, scale, constant(bytes)], attributes)).toEqual(valuesWith(zeroOf));
        expect(await weightOf([weight, flat(scales), flat(bytes)], attributes)).toEqual(valuesWith(zeroOf));
        const half = tensor(
          "f32",
          [n, blocks],
          Array.from(zeros.data, (zero) => zero + 0.5),
        );
        expect(await weightOf([weight, scale, constant(half)], attributes)).toEqual(
          valuesWith((row, block) => zeroOf(row, block) + 0.5),
        );
      });
    }

  test("g_idx names the block of each column", async () => {
    const { b, scales, valuesWith, attributes } = quantized(4, 32);
    const blockOf = (i: number) => i % 2;
    const order = constant(
      tensor(
        "i32",
        [32],
        Array.from({ length: 32 }, (_, i) => blockOf(i)),
      ),
    );
    const inputs = [sample([2, 32]), constant(b), constant(scales), undefined, order];
    const { graph } = importOp("MatMulNBits", { inputs, attributes, domain: microsoft });
    const { def } = graph.nodes[0]!.arg("weight");
    const weight = def.kind === "const" ? await readWeight(def.data) : undefined;
    expect([...weight!.data]).toEqual(valuesWith(() => 8, blockOf));
  });

  test("nothing is read at import, and then only the rows that are asked for", async () => {
    const { b, scales, zeros, valuesWith, blocks, attributes } = quantized(4, 40);
    const read: string[] = [];
    const bytes = packed(zeros, 4);
    const inputs = [
      fileLike({ ...b, shape: [n, b.data.length / n] }, read, "codes"),
      fileLike({ ...scales, shape: [n * blocks] }, read, "scales"),
      fileLike(bytes, read, "zeros"),
    ];
    const call = { inputs: [sample([1, 40]), ...inputs], attributes, domain: microsoft };
    const { def } = importOp("MatMulNBits", call).graph.nodes[0]!.arg("weight");
    expect(read).toEqual([]);
    const row = def.kind === "const" ? await def.data.rows(1, 2) : undefined;
    expect([...row!.data]).toEqual(valuesWith((r, block) => zeros.data[r * blocks + block]!).slice(40, 80));
    expect(read).toEqual(["codes 1-2", `scales ${blocks}-${2 * blocks}`, "zeros 1-2"]);
  });

  test("a bias is the layer's", async () => {
    const { b, scales, attributes } = quantized(2, 32);
    const inputs = [
      sample([2, 32]),
      constant(b),
      constant(scales),
      undefined,
      undefined,
      floats([n], 1, 2, 3),
    ];
    const call = { inputs, attributes, domain: microsoft };
    const without = await elementsOf("MatMulNBits", { ...call, inputs: inputs.slice(0, 3) });
    expect(await elementsOf("MatMulNBits", call)).toEqual(
      without.map((sum, i) => Math.fround(sum + (i % n) + 1)),
    );
  });

  test("weights that are computed, other widths and layouts of one GPU are refused", () => {
    const { b, scales, attributes } = quantized(4, 32);
    const refused = (weight: Tensor | WeightRef, more = {}) =>
      refusalOf("MatMulNBits", {
        inputs: [sample([1, 32]), weight, constant(scales)],
        attributes: { ...attributes, ...more },
        domain: microsoft,
      });
    expect(refused(b)).toContain("input 1 must be a constant");
    expect(refused(constant(b), { bits: 3 })).toContain("3 bits");
    expect(refused(constant(b), { weight_prepacked: 1 })).toContain("GPU");
  });
});

describe("GatherBlockQuantized", () => {
  test("is a gather from a table that is computed when it is read", async () => {
    const codes = sampleInts([5, 32], 0, 4, "u8", 3);
    const scales = sample([5, 2], 4);
    const read: string[] = [];
    const inputs = [fileLike(packed(codes, 2), read), ints(4, 0), constant(scales)];
    const call = { inputs, attributes: { bits: 2, block_size: 16, quantize_axis: 1 }, domain: microsoft };
    expect(opCounts(importOp("GatherBlockQuantized", call))).toEqual({ gather: 1 });
    expect(read).toEqual([]);
    const rows = [4, 0].flatMap((row) =>
      Array.from(
        { length: 32 },
        (_, i) => (codes.data[row * 32 + i]! - 2) * scales.data[row * 2 + Math.floor(i / 16)]!,
      ),
    );
    expect(await elementsOf("GatherBlockQuantized", call)).toEqual(rows);
  });

  test("four-bit data has zero at 0, any axis may hold the blocks, and the result has the scales' dtype", async () => {
    const data = sampleInts([16, 2], -8, 8, "i4", 5);
    const scales = tensor("f16", [1, 2], [0.5, 2]);
    const call = {
      inputs: [constant(data), ints(1), constant(scales)],
      attributes: { block_size: 16, quantize_axis: 0, gather_axis: 1 },
      domain: microsoft,
    };
    const [y] = await runOp("GatherBlockQuantized", call);
    expect([y!.dtype, y!.shape]).toEqual(["f16", [16, 1]]);
    expect([...y!.data]).toEqual(Array.from({ length: 16 }, (_, i) => data.data[2 * i + 1]! * 2));
  });
});

test("a weight without rows of its own is read by its elements", async () => {
  const read: string[] = [];
  const flat = fileLike(sampleInts([12], 0, 255, "u8", 2), read);
  const unpacked = unpackCodes(asRows(flat, 3), 4, 7);
  const all = await readWeight(unpacked);
  expect(all.shape).toEqual([3, 7]);
  expect([...(await unpacked.rows(2, 3)).data]).toEqual([...all.data.subarray(14)]);
  expect(read).toEqual(["w 0-12", "w 8-12"]);
});

test("the difference and the product are each rounded once", async () => {
  const weight = dequantizeWeight(
    {
      codes: inlineWeight(tensor("u8", [1, 1], [7])),
      scales: inlineWeight(floats([1], 0.1)),
      zeroPoints: inlineWeight(floats([1], 0.3)),
      axis: 1,
      blockSize: 1,
    },
    "f32",
  );
  const expected = Math.fround(Math.fround(7 - Math.fround(0.3)) * Math.fround(0.1));
  expect((await readWeight(weight)).data[0]).toBe(expected);
});
