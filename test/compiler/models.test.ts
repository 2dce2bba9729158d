import { describe, expect, test } from "vitest";
import { compile } from "../../src/compiler/compile.ts";
import { type Lowered, load, lower } from "../../src/compiler/lower.ts";
import { printGraph } from "../../src/ir/print.ts";
import { openInput } from "../../src/node.ts";
import { open, type Session } from "../../src/runtime/index.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { unpacked } from "../support/archive.ts";
import { compareLogits, greedyTokens, readReference, sources } from "../support/reference.ts";

/**
 * One BitNet model, as a packed and as a master-weight checkpoint and from several exporters, against what
 * transformers computes for it in f32 in each of the three ways it has.
 */
const folder = unpacked("bard.tar.br");
const reference = readReference(folder);
const cached = sources.filter(({ path }) => !path.includes("nokv"));

const options = { maxSeqLen: 512, logits: "all" } as const;
const input = (path: string) => openInput(`${folder}/${path}`);

async function openCompiled(path: string): Promise<Session> {
  const sink = memorySink();
  await compile(await input(path), sink, options);
  return open(sink.bytes(), { device: "cpu" });
}

describe("convergence", () => {
  const stateful = (path: string): Promise<Lowered<"stateful">> =>
    input(path)
      .then((from) => load(from, options))
      .then((lowered) => lower(lowered, "stateful"));

  test("every cached export and checkpoint is one graph after the stateful phase", async () => {
    const texts = new Map<string, string[]>();
    for (const { path } of cached) {
      const text = printGraph((await stateful(path)).graph, { structure: true });
      texts.set(text, [...(texts.get(text) ?? []), path]);
    }
    expect([...texts.values()]).toEqual([cached.map(({ path }) => path)]);
  });

  test("and that graph holds the model's parts and no scaffolding", async () => {
    const { report } = await stateful("onnx/torchscript-kv.onnx");
    expect(report.ops).toEqual({
      add: 8,
      "bitnet.linear": 28,
      "kv.update": 8,
      mul: 4,
      "nn.embedding": 1,
      "nn.linear": 1,
      "nn.relu2": 4,
      "nn.rms_norm": 17,
      "nn.rope": 8,
      "nn.sdpa": 4,
      reshape: 16,
      transpose: 16,
    });
  });

  test("an export without a cache differs in having none", async () => {
    const { report, graph } = await stateful("onnx/dynamo-nokv.onnx");
    expect(report.ops["kv.update"]).toBeUndefined();
    expect(report.ops["bitnet.linear"]).toBe(28);
    expect(graph.inputs.length).toBe(1);
  });
});

describe.each(sources)("$path computes what transformers does ($kind)", ({ path, kind }) => {
  test("teacher-forced top-1, logits, and greedy tokens", async () => {
    const session = await openCompiled(path);
    for (const prompt of reference[kind].prompts) {
      const { ids, greedy } = prompt;
      const { positions, top1, difference } = await compareLogits(session, prompt);
      expect([positions, top1]).toEqual([ids.length, ids.length]);
      // One flipped int8 code moves logits by about 0.1; a fault of any size moves them by far more.
      expect(difference).toBeLessThan(0.15);
      expect(await greedyTokens(session, ids, 12)).toEqual(greedy.slice(0, 12));
    }
  }, 60_000);
});

test("perplexity over 16,384 tokens is the reference's within 0.05 %", async () => {
  const session = await openCompiled("onnx/dynamo-packed-kv.onnx");
  const { perplexity, tokens } = await session.perplexity(reference.validation, { window: 256 });
  expect(tokens).toBe(16_384);
  expect(Math.abs(perplexity / reference.packed.perplexity - 1)).toBeLessThan(5e-4);
}, 120_000);

test("and over the first 512 tokens it is alike from every source", async () => {
  const windows = reference.validation.slice(0, 2 * 256 + 1);
  const measured: number[] = [];
  for (const { path } of sources) {
    const session = await openCompiled(path);
    measured.push((await session.perplexity(windows, { window: 256 })).perplexity);
  }
  // Over so few tokens single flipped int8 codes show.
  expect(Math.max(...measured) / Math.min(...measured)).toBeLessThan(1.01);
}, 120_000);

test("an int8 embedding and head take half of the bytes and cost little", async () => {
  const measure = async (embedding: "auto" | "q8") => {
    const sink = memorySink();
    const { report, blobs } = await compile(await input("hf-packed"), sink, { ...options, embedding });
    const session = await open(sink.bytes(), { device: "cpu" });
    const { perplexity } = await session.perplexity(reference.validation.slice(0, 2 * 256 + 1), {
      window: 256,
    });
    return { sizes: report.sizes!, blobs: blobs.filter(({ key }) => key.startsWith("w")), perplexity };
  };
  const [auto, q8] = [await measure("auto"), await measure("q8")];
  const [rows, columns] = [2048, 256];
  expect(auto.sizes.embedding).toBe(2 * rows * columns);
  expect(q8.sizes.embedding).toBe(rows * columns + 4 * rows);
  expect(auto.sizes.total - q8.sizes.total).toBe(auto.sizes.embedding - q8.sizes.embedding);
  // the scales are too many to be put into the graph: they are data of their own
  expect(q8.blobs.length).toBe(auto.blobs.length + 1);
  expect(q8.blobs.slice(0, 2).map(({ size }) => size)).toEqual([rows * columns, 4 * rows]);
  expect(Math.abs(q8.perplexity / auto.perplexity - 1)).toBeLessThan(5e-3);
  expect(q8.perplexity).not.toBe(auto.perplexity);
}, 60_000);

test("the cache holds what prefill and steps wrote: one call, token by token and chunks agree", async () => {
  const session = await openCompiled("hf-packed");
  const { ids } = reference.offline.prompts[1]!;
  const whole: number[] = [];
  for await (const row of session.logits(ids)) whole.push(...row);
  const run = (tokens: readonly number[], at: number) =>
    session.run({ tokens: tensor("i64", [1, tokens.length], tokens), start_pos: tensor("i64", [1], [at]) });
  const width = whole.length / ids.length;
  for (const size of [1, 4, 7]) {
    for (let at = 0; at < ids.length; at += size) {
      const { logits } = await run(ids.slice(at, at + size), at);
      const rows = Math.min(size, ids.length - at);
      expect(logits!.shape).toEqual([1, rows, width]);
      expect(Array.from(logits!.data)).toEqual(whole.slice(at * width, (at + rows) * width));
    }
  }
});

test("where a weight lies, in the model's file or beside it, makes no difference to the program's", async () => {
  const hashes = async (path: string) => {
    const { blobs } = await compile(await input(path), memorySink(), options);
    return blobs.map(({ sha256 }) => sha256);
  };
  expect(await hashes("onnx/dynamo-kv.onnx")).toEqual(await hashes("onnx/dynamo-external-kv.onnx"));
});
