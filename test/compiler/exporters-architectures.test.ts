import { describe, expect, test } from "vitest";
import { dynamoLlama } from "../support/exporters/dynamo.ts";
import { encoder } from "../support/exporters/encoder.ts";
import { expectAgreement } from "../support/exporters/expect.ts";
import { genaiLlama } from "../support/exporters/genai.ts";
import { gpt2Weights, torchScriptGpt2 } from "../support/exporters/gpt2.ts";
import { handWrittenLlama } from "../support/exporters/hand-written.ts";
import { expectedLogits } from "../support/exporters/naive.ts";
import { optimizedGpt2 } from "../support/exporters/optimized-gpt2.ts";
import { calls, type ExportedModel, recognise, runCompiled } from "../support/exporters/run.ts";
import { torchScriptLlama } from "../support/exporters/torchscript.ts";
import { llamaWeights } from "../support/exporters/weights.ts";

/** Expects models of one architecture to be one graph, and returns it. */
async function expectOneGraph(models: readonly ExportedModel[]) {
  const all = await Promise.all(models.map((model) => recognise(model)));
  for (const [i, recognised] of all.entries()) {
    expect(recognised.structure).toBe(all[0]!.structure);
    await expectAgreement(models[i]!, recognised);
  }
  return all[0]!;
}

const plainOps = {
  "nn.embedding": 1,
  "nn.rms_norm": 5,
  "nn.linear": 15,
  "nn.rope": 4,
  "nn.sdpa": 2,
  "kv.update": 4,
  "nn.silu": 2,
  add: 4,
  mul: 2,
  reshape: 8,
  transpose: 8,
};

test("GPT-2, by its exporters and onnxruntime's optimizer", async () => {
  const weights = gpt2Weights();
  const { ops } = await expectOneGraph([
    torchScriptGpt2(weights),
    torchScriptGpt2(weights, { norm: "steps", masked: -10000, triangle: "u8" }),
    torchScriptGpt2(weights, { positions: "mask" }),
    torchScriptGpt2(weights, { positions: "past", hasAttentionMask: false }),
    torchScriptGpt2(weights, { stacksCache: true }),
    optimizedGpt2(weights),
  ]);
  expect(ops).toEqual({
    "nn.embedding": 2,
    range: 1,
    "nn.layer_norm": 5,
    "nn.linear": 13,
    "nn.sdpa": 2,
    "kv.update": 4,
    "nn.gelu": 2,
    add: 5,
    reshape: 9,
    transpose: 8,
  });
});

test("Qwen2: biases of q, k and v", async () => {
  const weights = llamaWeights({ hasQkvBias: true });
  const { ops } = await expectOneGraph([
    torchScriptLlama(weights),
    dynamoLlama(weights),
    genaiLlama(weights),
  ]);
  expect(ops).toEqual(plainOps);
});

test("Qwen3: norms of the heads of q and k", async () => {
  const weights = llamaWeights({ hasHeadNorms: true });
  const { ops } = await expectOneGraph([
    torchScriptLlama(weights),
    dynamoLlama(weights),
    genaiLlama(weights),
  ]);
  expect(ops).toEqual({ ...plainOps, "nn.rms_norm": 9 });
  const run = await runCompiled(await (await recognise(dynamoLlama(weights))).finish());
  const logits = calls.flatMap((ids) => Array.from(run(ids).data));
  const expected = expectedLogits(weights, calls.flat()).flat();
  expect(Math.max(...logits.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-4);
});

test("Gemma: scaled embedding, capped scores and logits, a tied head", async () => {
  const weights = llamaWeights({ activation: "gelu", isTied: true });
  const gemma = { embeddingScale: 8, softcap: 50, headSoftcap: 30 };
  const { ops, structure } = await expectOneGraph([torchScriptLlama(weights, { gemma })]);
  expect(ops).toMatchObject({ "nn.gelu": 2, "nn.sdpa": 2, "nn.rope": 4, tanh: 1 });
  expect(structure).toContain('"softcap":50');
});

test("Mistral: a window of keys", async () => {
  const weights = llamaWeights();
  const { ops, structure } = await expectOneGraph([
    torchScriptLlama(weights, { mask: "triu", window: 4 }),
    genaiLlama(weights, { window: 4 }),
  ]);
  expect(ops).toEqual(plainOps);
  expect(structure).toContain('"window":4');
});

test("a part of each head rotated", async () => {
  const weights = llamaWeights({ rotaryDim: 8 });
  const { ops } = await expectOneGraph([
    torchScriptLlama(weights),
    torchScriptLlama(weights, { rotary: "table2d", halves: "split" }),
    genaiLlama(weights, { rotatesInAttention: false }),
  ]);
  expect(ops).toEqual(plainOps);
});

test("as many key heads as query heads", async () => {
  const weights = llamaWeights({ keyHeads: 4 });
  const { ops } = await expectOneGraph([
    torchScriptLlama(weights),
    genaiLlama(weights, { usesMultiHead: true }),
    handWrittenLlama(weights, { packing: "fifth axis" }),
  ]);
  expect(ops).toEqual(plainOps);
});

test("one key head", async () => {
  const weights = llamaWeights({ keyHeads: 1 });
  const { ops } = await expectOneGraph([torchScriptLlama(weights), genaiLlama(weights)]);
  expect(ops).toMatchObject({ "nn.rope": 4, "nn.sdpa": 2, "kv.update": 4, "nn.linear": 15 });
});

describe("what stays beside the fused ops", () => {
  const weights = llamaWeights();
  test("pairs of neighbours rotated: an attribute", async () => {
    const { ops, structure } = await expectOneGraph([handWrittenLlama(weights, { rotary: "pairs" })]);
    expect(ops).toEqual(plainOps);
    expect(structure).toContain('"interleaved":true');
  });

  test("pairs of neighbours put together in the shape that stacks of matrices have", async () => {
    const { ops, structure } = await expectOneGraph([
      handWrittenLlama(weights, { rotary: "pairs", attention: "stacked" }),
    ]);
    expect(ops).toMatchObject({ "nn.rope": 4, "nn.sdpa": 2, "kv.update": 4 });
    expect(structure).toContain('"interleaved":true');
  });

  test("q scaled behind its projection, attention over stacks of matrices: the factor", async () => {
    const { ops } = await expectOneGraph([handWrittenLlama(weights, { attention: "stacked" })]);
    expect(ops).toEqual({ ...plainOps, mul: 4 });
  });

  test("scores shifted by the distance, as ALiBi has it: the mask", async () => {
    const { ops } = await expectOneGraph([handWrittenLlama(weights, { rotary: "none" })]);
    expect(ops).toMatchObject({ "nn.sdpa": 2, "kv.update": 4, "nn.linear": 15 });
  });
});

describe("an encoder", () => {
  const model = (source: ExportedModel["source"]): ExportedModel => ({
    source,
    feed: () => ({}),
    caches: [],
  });

  test.each(["hidden states", "scores of classes"] as const)(
    "that returns %s keeps its inputs",
    async (returns) => {
      const { structure } = await recognise(model(encoder(returns)));
      expect(structure.match(/input "\w+"/g)).toEqual([
        'input "input_ids"',
        'input "attention_mask"',
        'input "token_type_ids"',
      ]);
      expect(structure).toContain("nn.sdpa");
    },
  );

  test("that looks like a decoder is refused for its segments", async () => {
    await expect(recognise(model(encoder("scores of tokens")))).rejects.toMatchObject({
      diagnostics: [{ code: "input-meaning", at: "token_type_ids" }],
    });
  });
});
