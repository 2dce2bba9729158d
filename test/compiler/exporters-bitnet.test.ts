import { beforeAll, describe, expect, test } from "vitest";
import {
  bitLinear,
  dynamicLinear,
  fixedScaleLinear,
  gemmBitLinear,
  halfUpLinear,
  integerBitLinear,
  quantizers,
  type Rescaling,
  stepBitLinear,
  storages,
  storedBitLinear,
} from "../support/exporters/bitlinears.ts";
import { dynamoLlama } from "../support/exporters/dynamo.ts";
import { expectAgreement } from "../support/exporters/expect.ts";
import { genaiLlama } from "../support/exporters/genai.ts";
import {
  autoBitLinear,
  type LinearWriter,
  matmulTwoBits,
  quantizedInFront,
} from "../support/exporters/linears.ts";
import { expectedLogits } from "../support/exporters/naive.ts";
import { opset23Llama } from "../support/exporters/opset23.ts";
import { calls, compareRuns, type ExportedModel, recognise, runCompiled } from "../support/exporters/run.ts";
import { torchScriptLlama } from "../support/exporters/torchscript.ts";
import { llamaWeights } from "../support/exporters/weights.ts";

const bitnet = { isTernary: true, hasSubNorms: true, activation: "relu2" } as const;
const weights = llamaWeights(bitnet);
const withBias = llamaWeights({ ...bitnet, hasQkvBias: true });

const names = <K extends string>(table: Readonly<Record<K, unknown>>): K[] => Object.keys(table) as K[];
const entries = (table: Readonly<Record<string, LinearWriter>>) =>
  Object.entries(table).map(([name, linear]): [string, ExportedModel] => [
    name,
    dynamoLlama(weights, { linear, opset: name.includes("int2") ? 25 : 20 }),
  ]);

const spellings: readonly (readonly [string, ExportedModel])[] = [
  ["torch.onnx by tracing", torchScriptLlama(weights, { linear: autoBitLinear })],
  ["dynamo", dynamoLlama(weights, { linear: autoBitLinear })],
  ["opset 23", opset23Llama(weights, { linear: autoBitLinear, layout: "flat" })],
  [
    "MatMulNBits of two bits behind the quantisation",
    genaiLlama(weights, { linear: quantizedInFront(matmulTwoBits(32)) }),
  ],
  [
    "MatMulNBits with zero points",
    genaiLlama(weights, { linear: quantizedInFront(matmulTwoBits(128, 1)), packsQkv: false }),
  ],
  ["q, k and v from one matrix", genaiLlama(weights, { linear: autoBitLinear })],
  ["q, k and v from one matrix of integers", genaiLlama(weights, { linear: integerBitLinear("i8") })],
  ...entries(
    Object.fromEntries(names(quantizers).map((name) => [`codes: ${name}`, bitLinear(quantizers[name])])),
  ),
  ...entries(
    Object.fromEntries(
      (["one division", "two steps", "one factor", "by reciprocal"] satisfies Rescaling[]).map((order) => [
        `scales: ${order}`,
        bitLinear(quantizers.division, order),
      ]),
    ),
  ),
  ...entries(Object.fromEntries(names(storages).map((name) => [`weight: ${name}`, storedBitLinear(name)]))),
  ...entries({
    "the step instead of the scale": stepBitLinear,
    "MatMulInteger of int8": integerBitLinear("i8"),
    "MatMulInteger of uint8 with a zero point": integerBitLinear("u8"),
    "Gemm, the weight not transposed": gemmBitLinear,
  }),
];

let structure: string;
beforeAll(async () => {
  structure = (await recognise(dynamoLlama(weights, { linear: autoBitLinear }))).structure;
});

describe("one BitNet from many exporters", () => {
  test("has its parts recognised and nothing else left", async () => {
    const { ops } = await recognise(torchScriptLlama(weights, { linear: autoBitLinear }));
    expect(ops).toEqual({
      "nn.embedding": 1,
      "nn.rms_norm": 9,
      "bitnet.linear": 14,
      "nn.linear": 1,
      "nn.rope": 4,
      "nn.sdpa": 2,
      "kv.update": 4,
      "nn.relu2": 2,
      add: 4,
      mul: 2,
      reshape: 8,
      transpose: 8,
    });
  });

  test("computes what the formulas say", async () => {
    const model = dynamoLlama(weights, { linear: autoBitLinear });
    const run = await runCompiled(await (await recognise(model)).finish());
    const logits = calls.flatMap((ids) => Array.from(run(ids).data));
    const expected = expectedLogits(weights, calls.flat()).flat();
    expect(Math.max(...logits.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-4);
  });

  test.each(spellings)("%s", async (_, model) => {
    const recognised = await recognise(model);
    expect(recognised.structure).toBe(structure);
    await expectAgreement(model, recognised);
  });

  test.each(["f16", "bf16"] as const)("exported in %s", async (dtype) => {
    const model = dynamoLlama(weights, { dtype });
    const recognised = await recognise(model);
    expect(recognised.structure).toBe(structure);
    // A code that flips is a step of 1/127, and 16-bit arithmetic flips some.
    await expectAgreement(model, recognised, { tolerance: 0.5 });
  });

  test("with biases, whichever way the scales go", async () => {
    const [first, ...others] = await Promise.all(
      [
        torchScriptLlama(withBias, { linear: autoBitLinear }),
        dynamoLlama(withBias, { linear: bitLinear(quantizers.division, "one factor") }),
        genaiLlama(withBias, { linear: quantizedInFront(matmulTwoBits(64)) }),
      ].map(async (model) => {
        const recognised = await recognise(model);
        await expectAgreement(model, recognised);
        return recognised;
      }),
    );
    expect(first!.ops["bitnet.linear"]).toBe(14);
    for (const { structure: other } of others) expect(other).toBe(first!.structure);
  });

  test("weight-only ternary models multiply the activations as they are", async () => {
    const silu = llamaWeights({ isTernary: true });
    for (const linear of [matmulTwoBits(32), matmulTwoBits(128, 1)]) {
      const model = genaiLlama(silu, { linear });
      const recognised = await recognise(model);
      expect(recognised.ops["bitnet.linear"]).toBe(14);
      expect(recognised.structure).toContain('"activations":"float"');
      expect(recognised.structure).not.toContain("int8-per-token");
      await expectAgreement(model, recognised);
    }
  });
});

describe("quantisation that is not BitNet's", () => {
  const others = { dynamicLinear, fixedScaleLinear, halfUpLinear };
  test.each(Object.entries(others))("%s stays what it is", async (_, linear) => {
    const model = dynamoLlama(weights, { linear });
    const recognised = await recognise(model);
    expect(recognised.structure).not.toContain("int8-per-token");
    await expectAgreement(model, recognised);
  });

  test("would give other logits if it were taken for it", async () => {
    const [mine, other] = await Promise.all(
      [autoBitLinear, fixedScaleLinear].map(async (linear) => {
        const recognised = await recognise(dynamoLlama(weights, { linear }));
        return runCompiled(await recognised.finish());
      }),
    );
    expect(compareRuns(mine!, other!).difference).toBeGreaterThan(1e-3);
  });
});
