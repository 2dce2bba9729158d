import { describe, expect, test } from "vitest";
import { compile } from "../../src/compiler/compile.ts";
import { emit } from "../../src/compiler/emit.ts";
import { q4Parts, q4Weight } from "../../src/ir/q4.ts";
import { inlineWeight, readWeight } from "../../src/ir/weights.ts";
import { openInput } from "../../src/node.ts";
import type { OptionsInput } from "../../src/options.ts";
import { open } from "../../src/runtime/index.ts";
import { openPortable } from "../../src/runtime/portable.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { unpacked } from "../support/archive.ts";
import { calls, type ExportedModel, recognise, runCompiled } from "../support/exporters/run.ts";
import { torchScriptLlama } from "../support/exporters/torchscript.ts";
import { llamaWeights } from "../support/exporters/weights.ts";
import { readReference } from "../support/reference.ts";
import { compare, namedGraph, readBack } from "./vulkan-run.ts";

const folder = unpacked("bard.tar.br");
const reference = readReference(folder);
const [vocabulary, width] = [2048, 256];

async function bard(options: OptionsInput) {
  const sink = memorySink();
  const input = await openInput(`${folder}/hf-packed`);
  const { report } = await compile(input, sink, { backend: "vulkan", maxSeqLen: 256, ...options });
  return { bytes: sink.bytes(), report };
}

describe("--embedding q4", async () => {
  const [q4, f32] = [
    await bard({ embedding: "q4", logits: "all" }),
    await bard({ embedding: "f32", logits: "all" }),
  ];
  const session = (bytes: Uint8Array) => open(bytes, { device: "cpu", portable: openPortable });

  test("holds the codes once, for the embedding and the head, and scales for each", async () => {
    const { graphs } = await readBack(q4.bytes);
    const [{ calls, values, constants }] = graphs as [(typeof graphs)[number]];
    const constantOf = (at: number) => {
      const value = values[at]!;
      return value.type === "VkTensor" ? { dims: value.dims, constant: value.constant! } : undefined;
    };
    const [embedding] = calls.filter(({ op }) => op === "et_vk.embedding_q4gsw.default");
    const head = calls.filter(({ op }) => op === "et_vk.linear_q4gsw.default").at(-1)!;
    const [table, tableScales, tableGroup, , isLinearWeight] = embedding!.args;
    const [, weights, weightScales, headGroup] = head.args;
    expect(constantOf(table!)).toEqual({
      dims: [vocabulary, width / 2],
      constant: constantOf(weights!)!.constant,
    });
    expect(constants[constantOf(table!)!.constant]!.length).toBe((vocabulary * width) / 2);
    expect(constantOf(tableScales!)!.dims).toEqual([vocabulary, width / 32]);
    expect(constantOf(weightScales!)!.dims).toEqual([width / 32, vocabulary]);
    expect([tableGroup, headGroup].map((at) => values[at!])).toEqual([
      { type: "Int", value: 32 },
      { type: "Int", value: 32 },
    ]);
    expect(values[isLinearWeight!]).toEqual({ type: "Bool", value: true });
    expect(calls.map(({ op }) => op)).not.toContain("aten.embedding.default");
    expect(calls.map(({ op }) => op)).not.toContain("aten.linear.default");
  });

  test("takes an eighth of the bytes, and scales", () => {
    const scales = 4 * vocabulary * (width / 32);
    expect(f32.report.sizes!.embedding).toBe(4 * vocabulary * width);
    expect(q4.report.sizes!.embedding).toBe((vocabulary * width) / 2 + 2 * scales);
    expect(q4.report.sizes!.total - f32.report.sizes!.total).toBe(
      q4.report.sizes!.embedding - f32.report.sizes!.embedding,
    );
    const saved = f32.bytes.length - q4.bytes.length;
    expect(Math.abs(saved - (f32.report.sizes!.total - q4.report.sizes!.total))).toBeLessThan(2000);
  });

  test("predicts nearly as well", async () => {
    const windows = reference.validation.slice(0, 129);
    const [ours, plain] = [
      await (await session(q4.bytes)).perplexity(windows, { window: 64 }),
      await (await session(f32.bytes)).perplexity(windows, { window: 64 }),
    ];
    expect(ours.tokens).toBe(plain.tokens);
    expect(ours.perplexity / plain.perplexity).toBeLessThan(1.02);
    expect(ours.perplexity).not.toBe(plain.perplexity);
  });

  test("makes text", async () => {
    const opened = await session(q4.bytes);
    const made: number[] = [];
    const { ids, greedy } = reference.offline.prompts[1]!;
    for await (const { id } of opened.generate({ ids }, { maxNewTokens: 8 })) made.push(id);
    expect(made.length).toBe(8);
    expect(made[0]).toBe(greedy[0]);
  });
});

/** The logits of a few calls, and of the graph with the numbers that q4 makes of its tables. */
async function logitsOf(model: ExportedModel) {
  const planned = await (await recognise(model, { backend: "vulkan", embedding: "q4" })).finish();
  const sink = memorySink();
  await emit(planned, sink);
  const [{ run, graphs }, expected] = [await readBack(sink.bytes()), await runCompiled(planned)];
  let [error, start] = [0, 0];
  for (const ids of calls) {
    const { logits } = await run({
      tokens: tensor("i64", [1, ids.length], [...ids]),
      start_pos: tensor("i64", [1], [start]),
    });
    start += ids.length;
    const theirs = expected(ids);
    expect(logits!.shape).toEqual(theirs.shape);
    theirs.data.forEach((value: number, i: number) => {
      error = Math.max(error, Math.abs(logits!.data[i]! - value));
    });
  }
  return { error, ops: graphs.flatMap(({ calls }) => calls.map(({ op }) => op)), planned };
}

describe("a vocabulary", () => {
  test.each([true, false])("that four divides is multiplied in four bits, tied %s", async (isTied) => {
    const { error, ops } = await logitsOf(torchScriptLlama(llamaWeights({ vocab: 68, isTied })));
    expect(error).toBeLessThan(1e-4);
    expect(ops).toContain("et_vk.embedding_q4gsw.default");
    expect(ops).toContain("et_vk.linear_q4gsw.default");
    expect(ops).not.toContain("aten.embedding.default");
  });
});

test.each([
  ["rows that groups of 32 do not divide", { hidden: 48 }, "rows of 48"],
  ["a vocabulary that four does not divide", { vocab: 67 }, "67 rows"],
])("%s: an error that says so", async (_, config, text) => {
  const model = torchScriptLlama(llamaWeights({ vocab: 68, isTied: true, ...config }));
  const recognised = await recognise(model, { backend: "vulkan", embedding: "q4" });
  await expect(recognised.finish()).rejects.toMatchObject({
    code: "q4-shape",
    message: expect.stringContaining(text),
  });
});

describe("what a table in q4 becomes", () => {
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i * i + 1));
  const lookedUp = (rows: number) => {
    const weight = q4Weight(inlineWeight(tensor("f32", [rows, 64], numbers(rows * 64))));
    return {
      weight,
      graph: namedGraph(
        [
          "symbol S 1..8",
          `%ids = input "ids" : i64[2, S]`,
          `%x = input "x" : f32[2, S, 64]`,
          `%t = const @"table" : f32[${rows}, 64]`,
          "%b = const f32[4] {1, 2, 3, 4}",
          "%e = nn.embedding(table: %t, ids: %ids) : f32[2, S, 64]",
          rows === 4
            ? `%y = nn.linear(x: %x, weight: %t, bias: %b) : f32[2, S, 4]`
            : `%y = nn.linear(x: %x, weight: %t) : f32[2, S, ${rows}]`,
          `output "e" %e`,
          `output "y" %y`,
        ],
        { table: weight },
      ),
    };
  };
  test.each([4, 12])(
    "%i rows: products of its codes and scales, the same that are looked up",
    async (rows) => {
      const { graph, weight } = lookedUp(rows);
      const { error, graphs } = await compare(graph, { range: [0, 3] });
      expect(error).toBeLessThan(2e-6);
      const ops = graphs[0]!.calls.map(({ op }) => op);
      expect(ops).toContain("et_vk.embedding_q4gsw.default");
      expect(ops).toContain("et_vk.linear_q4gsw.default");
      const { codes } = q4Parts(weight)!;
      expect(new Set((await readWeight(codes)).data).size).toBe(16);
    },
  );
});
