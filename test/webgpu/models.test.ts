import { describe, expect, test } from "vitest";
import { compile } from "../../src/compiler/compile.ts";
import { nodeGpu, openInput } from "../../src/node.ts";
import type { OptionsInput } from "../../src/options.ts";
import { open, type Session } from "../../src/runtime/index.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { unpacked } from "../support/archive.ts";
import { compareLogits, greedyTokens, readReference, sources } from "../support/reference.ts";

/** The model of test/compiler/models.test.ts, from every source, with its plan run on this machine's adapter. */
const folder = unpacked("bard.tar.br");
const reference = readReference(folder);

async function openCompiled(
  path: string,
  logits: "all" | "last",
  extra: OptionsInput = {},
): Promise<Session> {
  const sink = memorySink();
  await compile(await openInput(`${folder}/${path}`), sink, { maxSeqLen: 512, logits, ...extra });
  const session = await open(sink.bytes(), { device: "webgpu", gpu: nodeGpu });
  expect(session.device).toMatch(/^webgpu/);
  return session;
}

describe.each(sources)("$path on WebGPU computes what transformers does ($kind)", ({ path, kind }) => {
  test("teacher-forced top-1, logits, and greedy tokens", async () => {
    await using session = await openCompiled(path, "all");
    for (const prompt of reference[kind].prompts) {
      const { ids, greedy } = prompt;
      const { positions, top1, difference } = await compareLogits(session, prompt);
      expect([positions, top1]).toEqual([ids.length, ids.length]);
      // One flipped int8 code moves logits by about 0.1; a fault of any size moves them by far more.
      expect(difference).toBeLessThan(0.2);
      expect(await greedyTokens(session, ids, 12)).toEqual(greedy.slice(0, 12));
    }
  });
});

test("perplexity over 16,384 tokens is the reference's within 0.05 %", async () => {
  await using session = await openCompiled("onnx/dynamo-packed-kv.onnx", "all");
  const { perplexity, tokens } = await session.perplexity(reference.validation, { window: 256 });
  expect(tokens).toBe(16_384);
  expect(Math.abs(perplexity / reference.packed.perplexity - 1)).toBeLessThan(5e-4);
}, 240_000);

test.each([{}, { weights: "tq1_0" }, { embedding: "f32" }] as const)(
  "the last logits alone give the same tokens, with %o",
  async (extra) => {
    await using session = await openCompiled("hf-packed", "last", extra);
    const { ids, greedy: expected } = reference.offline.prompts[1]!;
    expect(await greedyTokens(session, ids, 40)).toEqual(expected.slice(0, 40));
    // what the cache holds is used again, and overwritten where the texts part
    expect(await greedyTokens(session, [...ids, ...expected.slice(0, 5)], 20)).toEqual(expected.slice(5, 25));
  },
);

test("an int8 embedding and head give what they give on the CPU", async () => {
  const { ids } = reference.offline.prompts[1]!;
  const sink = memorySink();
  const options = { maxSeqLen: 512, embedding: "q8" } as const;
  await compile(await openInput(`${folder}/hf-packed`), sink, options);
  await using onCpu = await open(sink.bytes(), { device: "cpu" });
  await using onGpu = await open(sink.bytes(), { device: "webgpu", gpu: nodeGpu });
  expect(await greedyTokens(onGpu, ids, 40)).toEqual(await greedyTokens(onCpu, ids, 40));
});
