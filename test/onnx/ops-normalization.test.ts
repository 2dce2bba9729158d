import { describe, expect, test } from "vitest";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { elementsOf, floats, importOp, microsoft, opCounts, runOp, sample } from "./op-harness.ts";

/** Rows of `width` elements, normalised: (x - mean) / √(var + eps), or x / √(mean x² + eps). */
function normalized(x: ArrayLike<number>, width: number, eps: number, isCentred: boolean): number[] {
  const rows = Array.from({ length: x.length / width }, (_, row) =>
    Array.from({ length: width }, (_, i) => x[row * width + i]!),
  );
  return rows.flatMap((row) => {
    const mean = isCentred ? row.reduce((sum, v) => sum + v, 0) / width : 0;
    const square = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
    return row.map((v) => (v - mean) / Math.sqrt(square + eps));
  });
}

function expectClose(found: ArrayLike<number>, expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(found[i]).toBeCloseTo(value, 5);
  });
}

const x = sample([2, 3, 4], 1);
const ones = (...shape: number[]): Tensor =>
  tensor("f32", shape, Array(shape.reduce((n, d) => n * d, 1)).fill(1));

describe("over the last axis", () => {
  test("norms are one op each, whatever the rank of their scale", () => {
    for (const scale of [ones(4), ones(1, 4)]) {
      const rms = importOp("RMSNormalization", { inputs: [x, scale], opset: 23 });
      expect(opCounts(rms)["nn.rms_norm"]).toBe(1);
      expect(opCounts(rms).reduce_mean).toBeUndefined();
    }
    const layer = importOp("LayerNormalization", { inputs: [x, ones(4), ones(4)] });
    expect(opCounts(layer)).toEqual({ "nn.layer_norm": 1 });
    expect(layer.results[0]!.node!.attrs).toEqual({ eps: 1e-5 });
  });

  test("a scale of another dtype, or for all elements, is multiplied afterwards", async () => {
    const half = { inputs: [x, tensor("f16", [4], [1, 2, 3, 4])], opset: 23 };
    expect((await runOp("RMSNormalization", half))[0]!.dtype).toBe("f16");
    const shared = await elementsOf("RMSNormalization", { inputs: [x, floats([1], 2)], opset: 23 });
    expectClose(
      shared,
      normalized(x.data, 4, 1e-5, false).map((v) => 2 * v),
    );
  });
});

describe("over several axes", () => {
  test("layer norm has its mean and inverse deviation as further results", async () => {
    const call = {
      inputs: [x, ones(3, 4)],
      attributes: { axis: 1, epsilon: 0.125 },
      outputs: ["y", "mean", "inverse"],
    };
    const [y, mean, inverse] = await runOp("LayerNormalization", call);
    expectClose(y!.data, normalized(x.data, 12, 0.125, true));
    expect([mean!.shape, inverse!.shape]).toEqual([
      [2, 1, 1],
      [2, 1, 1],
    ]);
    expectClose(
      Array.from(
        x.data,
        (v, i) => (v - mean!.data[Math.floor(i / 12)]!) * inverse!.data[Math.floor(i / 12)]!,
      ),
      normalized(x.data, 12, 0.125, true),
    );
  });

  test("RMS norm", async () => {
    const call = { inputs: [x, ones(3, 4)], attributes: { axis: -2 }, opset: 23 };
    expectClose(await elementsOf("RMSNormalization", call), normalized(x.data, 12, 1e-5, false));
  });

  test("groups of channels, with a scale for each channel or, before opset 21, for each group", async () => {
    const image = sample([1, 4, 3], 2);
    const grouped = normalized(image.data, 6, 1e-5, true);
    const perChannel = {
      inputs: [image, floats([4], 1, 2, 3, 4), tensor("f32", [4])],
      attributes: { num_groups: 2 },
    };
    const channel = (i: number) => Math.floor(i / 3);
    expectClose(
      await elementsOf("GroupNormalization", perChannel),
      grouped.map((v, i) => v * (channel(i) + 1)),
    );
    const perGroup = { ...perChannel, inputs: [image, floats([2], 1, 5), tensor("f32", [2])], opset: 18 };
    expectClose(
      await elementsOf("GroupNormalization", perGroup),
      grouped.map((v, i) => v * (channel(i) < 2 ? 1 : 5)),
    );
    const instance = { inputs: [image, ones(4), tensor("f32", [4])] };
    expectClose(await elementsOf("InstanceNormalization", instance), normalized(image.data, 3, 1e-5, true));
  });
});

describe("with a residual", () => {
  const skip = sample([2, 3, 4], 3);
  const sum = Array.from(x.data, (v, i) => v + skip.data[i]!);

  test("the sum is the fourth result", async () => {
    const call = {
      inputs: [x, skip, floats([4], 1, 2, 1, 2)],
      attributes: { epsilon: 0.5 },
      outputs: ["y", "", "", "sum"],
      domain: microsoft,
    };
    const [y, total] = await runOp("SkipSimplifiedLayerNormalization", call);
    expect([...total!.data]).toEqual(sum);
    expectClose(
      y!.data,
      normalized(sum, 4, 0.5, false).map((v, i) => v * (1 + (i % 2))),
    );
    expect(opCounts(importOp("SkipSimplifiedLayerNormalization", call))).toEqual({
      add: 1,
      "nn.rms_norm": 1,
    });
  });

  test("a bias is part of the sum", async () => {
    const bias = floats([4], 1, -1, 2, -2);
    const call = {
      inputs: [x, skip, ones(4), undefined, bias],
      outputs: ["y", "", "", "sum"],
      domain: microsoft,
    };
    const [y, total] = await runOp("SkipLayerNormalization", call);
    const withBias = sum.map((v, i) => v + bias.data[i % 4]!);
    expect([...total!.data]).toEqual(withBias);
    expectClose(y!.data, normalized(withBias, 4, 1e-12, true));
  });

  test("the simplified norm is found in either domain", () => {
    for (const domain of ["", "ai.onnx", microsoft])
      expect(opCounts(importOp("SimplifiedLayerNormalization", { inputs: [x, ones(4)], domain }))).toEqual({
        "nn.rms_norm": 1,
      });
  });
});

test("vectors of length 0 stay zeros when divided by their length", async () => {
  const inputs = [floats([2, 2], 3, 4, 0, 0)];
  const [a, b, ...zeros] = await elementsOf("LpNormalization", { inputs });
  expect([a, b]).toEqual([Math.fround(0.6), Math.fround(0.8)]);
  expect(zeros).toEqual([0, 0]);
});
