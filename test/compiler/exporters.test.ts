import { beforeAll, describe, expect, test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { dynamoLlama } from "../support/exporters/dynamo.ts";
import { expectAgreement } from "../support/exporters/expect.ts";
import { genaiLlama } from "../support/exporters/genai.ts";
import { inHalf } from "../support/exporters/half.ts";
import { handWrittenLlama } from "../support/exporters/hand-written.ts";
import { matmulFourBits } from "../support/exporters/linears.ts";
import { mergedDecoder } from "../support/exporters/merged.ts";
import { expectedLogits } from "../support/exporters/naive.ts";
import { opset23Llama } from "../support/exporters/opset23.ts";
import { calls, type ExportedModel, recognise, runCompiled } from "../support/exporters/run.ts";
import { type TorchScriptOptions, torchScriptLlama } from "../support/exporters/torchscript.ts";
import { llamaWeights } from "../support/exporters/weights.ts";

const weights = llamaWeights();
const traced = (options: TorchScriptOptions) => () => torchScriptLlama(weights, options);

/** One Llama, written by many hands. */
const spellings: Readonly<Record<string, () => ExportedModel | Promise<ExportedModel>>> = {
  "torch.onnx by tracing, transformers 4.31": traced({}),
  "opset 14, tables [1, 1, T, D], scores clamped": traced({
    opset: 14,
    rotary: "table4d",
    clampsScores: true,
  }),
  "opset 18, tables [T, D], Split halves, mask filled": traced({
    opset: 18,
    rotary: "table2d",
    halves: "split",
    mask: "fill",
    scale: "mul",
  }),
  "mask cut out of a constant triangle": traced({ mask: "buffer" }),
  "mask times what lies after, padding scattered in": traced({ mask: "triu" }),
  "dynamo, eager attention": () => dynamoLlama(weights),
  "dynamo with cache_position": () => dynamoLlama(weights, { hasCachePosition: true }),
  "dynamo without position_ids": () => dynamoLlama(weights, { hasPositionIds: false }),
  "dynamo without attention_mask": () => dynamoLlama(weights, { hasAttentionMask: false }),
  "dynamo, opset 18, a mask of bools": () => dynamoLlama(weights, { mask: "where", opset: 18 }),
  "a static cache written at cache_position": () =>
    dynamoLlama(weights, { staticLength: 32, hasCachePosition: true }),
  "a static cache without position_ids": () =>
    dynamoLlama(weights, { staticLength: 32, hasCachePosition: true, hasPositionIds: false, mask: "where" }),
  "a static cache that counts its rows": () =>
    dynamoLlama(weights, { staticLength: 32, countsRows: true, hasPositionIds: false, mask: "where" }),
  "a static cache with more rows than positions": () =>
    dynamoLlama(weights, { staticLength: 40, hasCachePosition: true }),
  "onnxruntime-genai": () => genaiLlama(weights),
  "onnxruntime-genai, q, k and v apart": () => genaiLlama(weights, { packsQkv: false }),
  "onnxruntime-genai, RotaryEmbedding": () => genaiLlama(weights, { rotatesInAttention: false }),
  "opset 23, heads apart": () => opset23Llama(weights),
  "opset 23, heads side by side": () => opset23Llama(weights, { layout: "flat" }),
  "opset 23, tables of all positions": () => opset23Llama(weights, { rotary: "tables", layout: "flat" }),
  "opset 23, a mask of bools": () => opset23Llama(weights, { causality: "mask" }),
  "opset 24, TensorScatter, lengths given": () =>
    opset23Llama(weights, { scatter: { rows: 32, visible: "lengths" } }),
  "opset 24, TensorScatter of rows, lengths derived": () =>
    opset23Llama(weights, { layout: "flat", scatter: { rows: 32, visible: "derived" } }),
  "opset 24, TensorScatter, more rows than positions, a mask": () =>
    opset23Llama(weights, { rotary: "tables", scatter: { rows: 40, visible: "mask" } }),
  "cache [B, P, H, D]": traced({ cacheAxis: 1 }),
  "cache [B, H, D, P]": traced({ cacheAxis: 3 }),
  "batch of one": traced({ batch: 1 }),
  "odd names of sizes": traced({ names: ["seq.len/1", "a b", "Concat_12_dim"] }),
  "a wrong label of the mask": traced({ names: ["sequence_length", "past", "past + 1"] }),
  "a mask of bools": traced({ maskDType: "bool" }),
  "a mask of floats": traced({ maskDType: "f32" }),
  "int32 tokens and mask": traced({ idsDType: "i32", maskDType: "i32" }),
  "no position_ids": traced({ hasPositionIds: false }),
  "no attention_mask": traced({ hasAttentionMask: false }),
  "the last token's logits only": traced({ lastOnly: true }),
  "hidden states returned too": traced({ returnsHidden: true }),
  "rotation of halves, repeated heads by Tile": () => handWrittenLlama(weights),
  "rotation before heads come first": () => handWrittenLlama(weights, { rotary: "tokens first" }),
  "q, k and v from one matrix": () => handWrittenLlama(weights, { packing: "split" }),
  "mean of squares as a sum": () => handWrittenLlama(weights, { norm: "sum" }),
  "norms with their scale around one": () => handWrittenLlama(weights, { norm: "offset" }),
  "a mask that the caller computes": () => handWrittenLlama(weights, { givenMask: "f32" }),
  "a mask of bools that the caller computes": () => handWrittenLlama(weights, { givenMask: "bool" }),
  "the number of past tokens": () => handWrittenLlama(weights, { givenPast: "scalar" }),
  "the number of past tokens and a mask": () =>
    handWrittenLlama(weights, { givenPast: "vector", givenMask: "f32" }),
  "one row of logits": () => handWrittenLlama(weights, { lastOnly: true }),
};

let plain: string;
beforeAll(async () => {
  plain = (await recognise(genaiLlama(weights, { packsQkv: false }))).structure;
});

describe("one Llama from many exporters", () => {
  test("has its parts recognised and nothing else left", async () => {
    const { ops } = await recognise(torchScriptLlama(weights));
    expect(ops).toEqual({
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
    });
  });

  test("computes what the formulas say", async () => {
    const run = await runCompiled(await (await recognise(torchScriptLlama(weights))).finish());
    const logits = calls.flatMap((ids) => Array.from(run(ids).data));
    const expected = expectedLogits(weights, calls.flat()).flat();
    expect(logits).toHaveLength(expected.length);
    expect(Math.max(...logits.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-4);
  });

  test.each(Object.entries(spellings))("%s", async (_, make) => {
    const model = await make();
    const recognised = await recognise(model);
    expect(recognised.structure).toBe(plain);
    await expectAgreement(model, recognised);
  });

  test("four-bit weights are the same graph over other numbers", async () => {
    const model = genaiLlama(weights, { linear: matmulFourBits(32), packsEmbedding: true });
    const recognised = await recognise(model);
    expect(recognised.structure).toBe(plain);
    await expectAgreement(model, recognised);
  });

  test.each([
    ["f16, dynamo", () => dynamoLlama(weights, { dtype: "f16" }), 0.1],
    ["bf16, dynamo", () => dynamoLlama(weights, { dtype: "bf16" }), 1],
    ["f16, onnxruntime-genai", () => inHalf(genaiLlama(weights), "f16"), 0.1],
    [
      "bf16, opset 24",
      () => inHalf(opset23Llama(weights, { scatter: { rows: 32, visible: "derived" } }), "bf16"),
      1,
    ],
  ] as const)("exported in %s, it computes in f32", async (_, make, tolerance) => {
    const model = await make();
    const recognised = await recognise(model);
    expect(recognised.structure).toBe(plain);
    await expectAgreement(model, recognised, { tolerance });
  });

  test("with caches in f16 it computes in f32", async () => {
    const model = handWrittenLlama(weights, { narrowCache: true });
    const recognised = await recognise(model);
    expect(recognised.structure).toBe(plain);
    await expectAgreement(model, recognised, { tolerance: 0.05 });
  });
});

describe("one Llama without a cache", () => {
  const spellings = {
    "with a mask and positions": traced({ hasCache: false }),
    "with a triangle": traced({ hasCache: false, mask: "triu" }),
    "without a mask": traced({ hasCache: false, hasAttentionMask: false }),
    "of tokens alone": traced({ hasCache: false, hasAttentionMask: false, hasPositionIds: false }),
  };
  let first: string | undefined;
  test.each(Object.entries(spellings))("%s", async (_, make) => {
    const model = make();
    const recognised = await recognise(model);
    first ??= recognised.structure;
    expect(recognised.structure).toBe(first);
    expect(recognised.ops).toMatchObject({ "nn.rope": 4, "nn.sdpa": 2, "nn.linear": 15 });
    expect(recognised.ops["kv.update"]).toBeUndefined();
    await expectAgreement(model, recognised);
  });
});

test("a model for one token a call", async () => {
  const model = torchScriptLlama(weights, { names: [1, "past", "past + 1"] });
  const recognised = await recognise(model);
  expect(recognised.ops).toMatchObject({ "nn.rope": 4, "nn.sdpa": 2, "kv.update": 4, "nn.linear": 15 });
  expect(recognised.ops).not.toHaveProperty("where");
  await expectAgreement(model, recognised, { script: [[3], [1], [4], [15], [9]] });
});

describe("inputs that choose what is computed", () => {
  const branch = { constants: { use_cache_branch: tensor("bool", [1], [1]) } };
  const merged = () => mergedDecoder(torchScriptLlama(weights), torchScriptLlama(weights));

  test("a merged decoder, its branch chosen when compiling", async () => {
    const model = await merged();
    const recognised = await recognise(model, branch);
    expect(recognised.structure).toBe(plain);
    await expectAgreement(model, recognised, { options: branch });
  });

  test("are named where they are left open", async () => {
    const wanted = (name: string) => ({ diagnostics: [{ code: "needs-constant-input", at: name }] });
    await expect(recognise(await merged())).rejects.toMatchObject(wanted("use_cache_branch"));
    const counting = handWrittenLlama(weights, { countsLogits: true });
    await expect(recognise(counting)).rejects.toMatchObject(wanted("num_logits_to_keep"));
  });

  test.each([0, 1])("%i logits to keep", async (kept) => {
    const options = { constants: { num_logits_to_keep: tensor("i64", [], [kept]) } };
    const model = handWrittenLlama(weights, { countsLogits: true });
    const recognised = await recognise(model, options);
    expect(recognised.structure).toBe(plain);
    await expectAgreement(model, recognised, { options });
  });
});

test("a static cache bounds the positions", async () => {
  const model = dynamoLlama(weights, { staticLength: 24, hasCachePosition: true });
  await expect(recognise(model)).rejects.toMatchObject({ diagnostics: [{ code: "max-seq-len" }] });
  const { structure } = await recognise(model, { maxSeqLen: undefined });
  expect(structure).toContain("symbol S 1..24");
});
