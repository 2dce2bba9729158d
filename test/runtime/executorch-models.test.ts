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

/** Models as programs for ExecuTorch, of its kernels or for its GPU backends, against them in bitnetc's delegate. */
const backends = ["portable", "vulkan"] as const;
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

describe.each(["hf-packed", "onnx/dynamo-kv.onnx"])("%s", async (path) => {
  const own = await opened(path, {});

  test.each(backends)(
    "%s has the logits of the delegate, in one call and token by token",
    async (backend) => {
      const session = await opened(path, { backend });
      expectClose(await call(session, ids, 0), await call(own, ids, 0));
      session.kv.reset();
      own.kv.reset();
      for (const [at, id] of ids.slice(0, 6).entries())
        expectClose(await call(session, [id], at), await call(own, [id], at));
    },
  );

  test.each(backends)("%s continues prompts as transformers does", async (backend) => {
    const session = await opened(path, { backend });
    const made: number[] = [];
    for await (const { id } of session.generate({ ids }, { maxNewTokens: 12 })) made.push(id);
    expect(made).toEqual(greedy.slice(0, 12));
    expect(session.kv.length).toBe(ids.length + 11);
  });
});

describe("logits of every position, and the perplexity, are the delegate's", async () => {
  const windows = reference.validation.slice(0, 129);
  const perplexityOf = async (options: OptionsInput) =>
    (await opened("hf-packed", { ...options, logits: "all" })).perplexity(windows, { window: 64 });
  const expected = await perplexityOf({});

  test.each(backends)("%s", async (backend) => {
    const { tokens, perplexity } = await perplexityOf({ backend });
    expect(tokens).toBe(expected.tokens);
    expect(Math.abs(perplexity / expected.perplexity - 1)).toBeLessThan(1e-4);
  });
});

test("vulkan has the logits of the delegate where every call takes all tokens", async () => {
  const path = "onnx/dynamo-nokv.onnx";
  const [session, own] = [await opened(path, { backend: "vulkan" }), await opened(path, {})];
  for (const length of [ids.length, 1, 5]) {
    const tokens = tensor("i64", [1, length], ids.slice(0, length));
    const [{ logits }, expected] = [await session.run({ tokens }), await own.run({ tokens })];
    expectClose([...logits!.data], [...expected.logits!.data]);
  }
});

const bitnet = { isTernary: true, hasSubNorms: true, activation: "relu2" } as const;
interface Small {
  readonly make: () => ExportedModel | Promise<ExportedModel>;
  /** What delegates for GPUs leave to kernels. */
  readonly outside: readonly string[];
}
const small: Readonly<Record<string, Small>> = {
  "BitNet, one key head": {
    make: () => dynamoLlama(llamaWeights({ ...bitnet, keyHeads: 1 }), { linear: autoBitLinear }),
    outside: [],
  },
  "BitNet, a scale for each group of 32": {
    make: () => genaiLlama(llamaWeights(bitnet), { linear: quantizedInFront(matmulTwoBits(32)) }),
    outside: [],
  },
  "Mistral, a window of keys": {
    make: () => genaiLlama(llamaWeights(), { window: 4 }),
    outside: ["kv.update", "nn.sdpa"],
  },
  "pairs of neighbours rotated": {
    make: () => handWrittenLlama(llamaWeights(), { rotary: "pairs" }),
    outside: ["nn.rope"],
  },
  "ALiBi, a mask that stays": {
    make: () => handWrittenLlama(llamaWeights(), { rotary: "none" }),
    outside: ["cast", "kv.update", "less", "nn.sdpa", "range", "reshape", "slice", "sub", "where"],
  },
  "Gemma, capped scores and logits": {
    make: () =>
      torchScriptLlama(llamaWeights({ activation: "gelu", isTied: true }), {
        gemma: { embeddingScale: 8, softcap: 50, headSoftcap: 30 },
      }),
    outside: ["kv.update", "nn.sdpa"],
  },
  "GPT-2": { make: () => torchScriptGpt2(gpt2Weights()), outside: ["nn.embedding", "range", "reshape"] },
};

describe.each(Object.entries(small))("%s", async (_, { make, outside }) => {
  const sessionOf = async (backend: "portable" | "vulkan" | "webgpu") => {
    const sink = memorySink();
    const planned = await (await recognise(await make(), { backend })).finish();
    await emit(planned, sink);
    const session = await open(sink.bytes(), { device: "cpu", portable: openPortable });
    return { session, report: planned.report };
  };
  const logitsOf = async (session: Session): Promise<number[][]> => {
    const logits: number[][] = [];
    let start = 0;
    for (const tokens of calls) {
      logits.push(await call(session, tokens, start));
      start += tokens.length;
    }
    return logits;
  };
  const expected = await logitsOf((await sessionOf("webgpu")).session);

  test.each(backends)("%s has the logits of the delegate", async (backend) => {
    const { session, report } = await sessionOf(backend);
    const logits = await logitsOf(session);
    logits.forEach((each, i) => {
      expectClose(each, expected[i]!);
    });
    if (backend === "portable") return;
    const { groups, refused } = report.partition!;
    expect(Object.keys(groups)).toContain("delegate 0");
    expect([...new Set(refused.map(({ op }) => op))].sort()).toEqual(outside);
  });
});
