import { expect, test } from "vitest";
import { emit } from "../../src/compiler/emit.ts";
import { nodeGpu } from "../../src/node.ts";
import { open, type Session } from "../../src/runtime/index.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { bitLinear, quantizers } from "../support/exporters/bitlinears.ts";
import { dynamoLlama } from "../support/exporters/dynamo.ts";
import { genaiLlama } from "../support/exporters/genai.ts";
import { gpt2Weights, torchScriptGpt2 } from "../support/exporters/gpt2.ts";
import { handWrittenLlama } from "../support/exporters/hand-written.ts";
import { autoBitLinear, matmulTwoBits, quantizedInFront } from "../support/exporters/linears.ts";
import { opset23Llama } from "../support/exporters/opset23.ts";
import { calls, type ExportedModel, recognise } from "../support/exporters/run.ts";
import { torchScriptLlama } from "../support/exporters/torchscript.ts";
import { type LlamaConfig, llamaWeights } from "../support/exporters/weights.ts";

/** Small models of other shapes than the one that the reference is for: what the GPU computes is what the CPU does. */

const bitnet = { isTernary: true, hasSubNorms: true, activation: "relu2" } as const;
const ternary = (options: Partial<LlamaConfig> = {}, linear = autoBitLinear): ExportedModel =>
  dynamoLlama(llamaWeights({ ...bitnet, ...options }), { linear });

const models: Readonly<Record<string, () => ExportedModel | Promise<ExportedModel>>> = {
  BitNet: () => ternary(),
  "BitNet without sub-norms, gated by SiLU": () => ternary({ hasSubNorms: false, activation: "silu" }),
  "BitNet with biases of q, k and v": () => ternary({ hasQkvBias: true }),
  "BitNet with norms of the heads": () => ternary({ hasHeadNorms: true }),
  "BitNet, one key head": () => ternary({ keyHeads: 1 }),
  "BitNet, a scale for each group of 32": () =>
    genaiLlama(llamaWeights(bitnet), { linear: quantizedInFront(matmulTwoBits(32)) }),
  "BitNet, opset 23": () => opset23Llama(llamaWeights(bitnet), { linear: autoBitLinear, layout: "flat" }),
  "BitNet, codes by a reciprocal": () => ternary({}, bitLinear(quantizers.reciprocal)),
  "weight-only ternary": () => torchScriptLlama(llamaWeights({ isTernary: true })),
  Llama: () => torchScriptLlama(llamaWeights()),
  Qwen3: () => torchScriptLlama(llamaWeights({ hasHeadNorms: true })),
  "Mistral, a window of keys": () => genaiLlama(llamaWeights(), { window: 4 }),
  "a part of each head rotated": () => torchScriptLlama(llamaWeights({ rotaryDim: 8 })),
  "pairs of neighbours rotated": () => handWrittenLlama(llamaWeights(), { rotary: "pairs" }),
  "ALiBi, a mask that stays": () => handWrittenLlama(llamaWeights(), { rotary: "none" }),
  "Gemma, capped scores and logits": () =>
    torchScriptLlama(llamaWeights({ activation: "gelu", isTied: true }), {
      gemma: { embeddingScale: 8, softcap: 50, headSoftcap: 30 },
    }),
  "GPT-2": () => torchScriptGpt2(gpt2Weights()),
};

/** The logits of consecutive calls. */
async function logitsOf(session: Session): Promise<readonly number[][]> {
  const rows: number[][] = [];
  let start = 0;
  for (const ids of calls) {
    const inputs = { tokens: tensor("i64", [1, ids.length], ids), start_pos: tensor("i64", [1], [start]) };
    rows.push(Array.from((await session.run(inputs)).logits!.data));
    start += ids.length;
  }
  return rows;
}

test.each(Object.entries(models))("%s", async (_, makeModel) => {
  const lowered = await (await recognise(await makeModel())).finish();
  expect(lowered.report.partition?.refused).toEqual([]);
  const sink = memorySink();
  await emit(lowered, sink);
  await using onGpu = await open(sink.bytes(), { device: "webgpu", gpu: nodeGpu });
  await using onCpu = await open(sink.bytes(), { device: "cpu" });
  const [have, want] = [await logitsOf(onGpu), await logitsOf(onCpu)];
  for (const [call, logits] of have.entries()) {
    expect(logits.length).toBe(want[call]!.length);
    const difference = Math.max(...logits.map((value, i) => Math.abs(value - want[call]![i]!)));
    expect(difference).toBeLessThan(1e-3);
  }
});
