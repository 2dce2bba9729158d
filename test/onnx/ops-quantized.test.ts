import { describe, expect, test } from "vitest";
import type { DType } from "../../src/tensor/dtype.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { constant, elementsOf, fileLike, floats, importOp, runOp, sample, sampleInts } from "./op-harness.ts";

describe("DequantizeLinear", () => {
  const codes = sampleInts([4, 6], -8, 8, "i8", 6);
  const scaleOf = {
    tensor: { shape: [], at: () => 0 },
    rows: { shape: [4], at: (r: number) => r },
    columns: { shape: [6], at: (_: number, c: number) => c },
    blocks: { shape: [4, 2], at: (r: number, c: number) => r * 2 + Math.floor(c / 3) },
    blockedRows: { shape: [2, 6], at: (r: number, c: number) => Math.floor(r / 2) * 6 + c },
  };
  const attributesOf = {
    tensor: {},
    rows: { axis: 0 },
    columns: { axis: -1 },
    blocks: { axis: 1, block_size: 3 },
    blockedRows: { axis: 0, block_size: 2 },
  };

  for (const kind of ["tensor", "rows", "columns", "blocks", "blockedRows"] as const) {
    const { shape, at } = scaleOf[kind];
    const scales = sample(shape, 7);
    const zeros = sampleInts(shape, -3, 3, "i8", 8);
    const expected = Array.from(codes.data, (code, i) => {
      const p = at(Math.floor(i / 6), i % 6);
      return (code - zeros.data[p]!) * scales.data[p]!;
    });
    const attributes = attributesOf[kind];

    test(`by ${kind}: as ops, and as a large constant read row by row`, async () => {
      expect(await elementsOf("DequantizeLinear", { inputs: [codes, scales, zeros], attributes })).toEqual(
        expected,
      );
      const lazy = importOp("DequantizeLinear", {
        inputs: [fileLike(codes), constant(scales), constant(zeros)],
        attributes,
      });
      const { def } = lazy.results[0]!;
      if (def.kind !== "const") throw new Error("the result is not a constant");
      for (const [from, to] of [
        [0, 4],
        [1, 2],
        [3, 4],
      ] as const)
        expect([...(await def.data.rows(from, to)).data]).toEqual(expected.slice(from * 6, to * 6));
    });
  }

  test("the result has the scale's dtype, or the one that is asked for", async () => {
    const inputs = [codes, tensor("f16", [], [0.1])];
    expect((await runOp("DequantizeLinear", { inputs }))[0]!.dtype).toBe("f16");
    const asked = { inputs, attributes: { output_dtype: 1 }, opset: 23 };
    expect((await runOp("DequantizeLinear", asked))[0]!.dtype).toBe("f32");
  });
});

describe("QuantizeLinear", () => {
  const quantize = async (dtype: DType, values: number[], zero: number) => {
    const inputs = [floats([values.length], ...values), floats([], 2), tensor(dtype, [], [zero])];
    const [y] = await runOp("QuantizeLinear", { inputs });
    return [y!.dtype, ...y!.data];
  };

  test("rounds half to even before the zero point, and saturates", async () => {
    expect(await quantize("u8", [1, 3, 5, -3, 1000], 1)).toEqual(["u8", 1, 3, 3, 0, 255]);
    expect(await quantize("i4", [13, -13, 100, -100], 1)).toEqual(["i4", 7, -5, 7, -8]);
  });

  test("without a zero point the result is u8, or what is asked for", async () => {
    const inputs = [floats([2], -4, 9), floats([2], 2, 3)];
    const call = { inputs, attributes: { axis: 0 } };
    expect((await runOp("QuantizeLinear", call))[0]).toMatchObject({
      dtype: "u8",
      data: Uint8Array.of(0, 3),
    });
    const asked = { ...call, attributes: { axis: 0, output_dtype: 3 } };
    expect((await runOp("QuantizeLinear", asked))[0]).toMatchObject({
      dtype: "i8",
      data: Int8Array.of(-2, 3),
    });
  });

  test("the dynamic range includes 0, and zeros have a scale of 1", async () => {
    const outputs = ["y", "scale", "zero"];
    const results = await runOp("DynamicQuantizeLinear", { inputs: [floats([3], 1, 2, 2.55)], outputs });
    expect(results.map(({ data }) => [...data])).toEqual([[100, 200, 255], [Math.fround(0.01)], [0]]);
    const zeros = await runOp("DynamicQuantizeLinear", { inputs: [floats([1], 0)], outputs });
    expect(zeros.map(({ data }) => [...data])).toEqual([[0], [1], [0]]);
  });
});
