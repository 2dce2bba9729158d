import { describe, expect, test } from "vitest";
import { compile } from "../../src/compiler/compile.ts";
import { emit } from "../../src/compiler/emit.ts";
import { openInput } from "../../src/node.ts";
import type { OptionsInput } from "../../src/options.ts";
import { open, type Session } from "../../src/runtime/index.ts";
import { openPortable } from "../../src/runtime/portable.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { unpacked } from "../support/archive.ts";
import { dynamoLlama } from "../support/exporters/dynamo.ts";
import { genaiLlama } from "../support/exporters/genai.ts";
import { gpt2Weights, torchScriptGpt2 } from "../support/exporters/gpt2.ts";
import { handWrittenLlama } from "../support/exporters/hand-written.ts";
import { autoBitLinear, matmulTwoBits, quantizedInFront } from "../support/exporters/linears.ts";
import { calls, type ExportedModel, recognise } from "../support/exporters/run.ts";
import { torchScriptLlama } from "../support/exporters/torchscript.ts";
import { llamaWeights } from "../support/exporters/weights.ts";
import { readReference } from "../support/reference.ts";

/** A model as calls of ExecuTorch's kernels, against the same model in bitnetc's delegate. */
const folder = unpacked("bard.tar.br");
const reference = readReference(folder);
const { ids, greedy } = reference.offline.prompts[1]!;

async function opened(path: string, options: OptionsInput): Promise<Session> {
  const sink = memorySink();
  await compile(await openInput(`${folder}/${path}`), sink, { maxSeqLen: 512, ...options });
  return open(sink.bytes(), { device: "cpu", portable: openPortable });
}

const call = async (session: Session, tokens: readonly number[], at: number): Promise<number[]> => {
  const start_pos = tensor("i64", [1], [at]);
  const { logits } = await session.run({ tokens: tensor("i64", [1, tokens.length], tokens), start_pos });
  return [...logits!.data];
};

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  const difference = Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)));
  expect(difference).toBeLessThan(1e-3);
}

describe.each(["hf-packed", "onnx/dynamo-kv.onnx"])("%s", (path) => {
  test("has the logits of the delegate, in one call and token by token", async () => {
    const [portable, own] = [await opened(path, { backend: "portable" }), await opened(path, {})];
    expectClose(await call(portable, ids, 0), await call(own, ids, 0));
    portable.kv.reset();
    for (const [at, id] of ids.slice(0, 6).entries())
      expectClose(await call(portable, [id], at), await call(own, [id], at));
  }, 60_000);

  test("continues prompts as transformers does", async () => {
    const session = await opened(path, { backend: "portable" });
    const made: number[] = [];
    for await (const { id } of session.generate({ ids }, { maxNewTokens: 12 })) made.push(id);
    expect(made).toEqual(greedy.slice(0, 12));
    expect(session.kv.length).toBe(ids.length + 11);
  }, 60_000);
});

test("logits of every position, and the perplexity, are the delegate's", async () => {
  const options = { logits: "all" } as const;
  const portable = await opened("hf-packed", { ...options, backend: "portable" });
  const own = await opened("hf-packed", options);
  const windows = reference.validation.slice(0, 129);
  const [ours, expected] = [
    await portable.perplexity(windows, { window: 64 }),
    await own.perplexity(windows, { window: 64 }),
  ];
  expect(ours.tokens).toBe(expected.tokens);
  expect(Math.abs(ours.perplexity / expected.perplexity - 1)).toBeLessThan(1e-4);
}, 60_000);

const bitnet = { isTernary: true, hasSubNorms: true, activation: "relu2" } as const;
const small: Readonly<Record<string, () => ExportedModel | Promise<ExportedModel>>> = {
  "BitNet, one key head": () =>
    dynamoLlama(llamaWeights({ ...bitnet, keyHeads: 1 }), { linear: autoBitLinear }),
  "BitNet, a scale for each group of 32": () =>
    genaiLlama(llamaWeights(bitnet), { linear: quantizedInFront(matmulTwoBits(32)) }),
  "Mistral, a window of keys": () => genaiLlama(llamaWeights(), { window: 4 }),
  "pairs of neighbours rotated": () => handWrittenLlama(llamaWeights(), { rotary: "pairs" }),
  "ALiBi, a mask that stays": () => handWrittenLlama(llamaWeights(), { rotary: "none" }),
  "Gemma, capped scores and logits": () =>
    torchScriptLlama(llamaWeights({ activation: "gelu", isTied: true }), {
      gemma: { embeddingScale: 8, softcap: 50, headSoftcap: 30 },
    }),
  "GPT-2": () => torchScriptGpt2(gpt2Weights()),
};

test.each(Object.entries(small))("%s: has the logits of the delegate", async (_, makeModel) => {
  const sessionOf = async (backend: "portable" | "webgpu") => {
    const sink = memorySink();
    await emit(await (await recognise(await makeModel(), { backend })).finish(), sink);
    return open(sink.bytes(), { device: "cpu", portable: openPortable });
  };
  const [portable, own] = [await sessionOf("portable"), await sessionOf("webgpu")];
  let start = 0;
  for (const tokens of calls) {
    expectClose(await call(portable, tokens, start), await call(own, tokens, start));
    start += tokens.length;
  }
});
