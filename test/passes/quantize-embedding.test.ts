import { describe, expect, test } from "vitest";
import { type Lowered, load } from "../../src/compiler/lower.ts";
import { Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { tensorType } from "../../src/ir/type.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { inlineWeight, readWeight } from "../../src/ir/weights.ts";
import { quantizeEmbedding } from "../../src/passes/packed/quantize-embedding.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { randomTensor } from "../ops/harness.ts";
import { gpt2Weights, torchScriptGpt2 } from "../support/exporters/gpt2.ts";
import { compareWithImported, type ExportedModel, recognise } from "../support/exporters/run.ts";
import { torchScriptLlama } from "../support/exporters/torchscript.ts";
import { llamaWeights } from "../support/exporters/weights.ts";
import { naiveQ8, throughQ8 } from "../support/q8.ts";

const q8 = { embedding: "q8" } as const;
const packedOf = async (model: ExportedModel, options = {}): Promise<Lowered<"planned">> =>
  (await recognise(model, { ...q8, ...options })).finish();

const nodesOf = ({ graph }: Lowered, op: string) => graph.nodes.filter((node) => node.op === op);
const withScale = (lowered: Lowered, op: string) =>
  nodesOf(lowered, op).filter(({ args }) => args.scale !== undefined);
const contents = async ({ def }: Value) => {
  if (def.kind !== "const") throw new Error("no constant");
  const { dtype, shape, data } = await readWeight(def.data);
  return { dtype, shape, data };
};

describe("--embedding q8", () => {
  test("a tied matrix is quantised once, row by row", async () => {
    const weights = llamaWeights({ isTied: true });
    const packed = await packedOf(torchScriptLlama(weights));
    const [embedding, head] = [withScale(packed, "nn.embedding"), withScale(packed, "nn.linear")];
    expect([embedding.length, head.length]).toEqual([1, 1]);
    expect(head[0]!.arg("weight")).toBe(embedding[0]!.arg("table"));
    expect(head[0]!.arg("scale")).toBe(embedding[0]!.arg("scale"));
    const { codes, scale } = naiveQ8(weights.embedding);
    expect(await contents(head[0]!.arg("weight"))).toEqual(codes);
    expect(await contents(head[0]!.arg("scale"))).toEqual(scale);
  });

  test("an untied head is found behind the choice of the last row; other dense linears stay as they are", async () => {
    const weights = llamaWeights();
    const packed = await packedOf(torchScriptLlama(weights), { logits: "last" });
    const [head, ...others] = withScale(packed, "nn.linear");
    expect(others).toEqual([]);
    expect(await contents(head!.arg("weight"))).toEqual(naiveQ8(weights.head).codes);
    expect(packed.graph.outputs[0]!.value.type.shape).toEqual([1, weights.config.vocab]);
    const dense = nodesOf(packed, "nn.linear").filter((node) => node !== head);
    expect(dense.length).toBe(7 * weights.config.layers);
    expect(new Set(dense.map((node) => node.arg("weight").type.dtype))).toEqual(new Set(["f32"]));
  });

  test("a table of positions stays as it is", async () => {
    const weights = gpt2Weights();
    const packed = await packedOf(torchScriptGpt2(weights));
    const tables = nodesOf(packed, "nn.embedding").map((node) => node.arg("table").type);
    expect(tables.map(({ dtype, shape }) => `${dtype} ${shape[0]}`).sort()).toEqual(["f32 48", "i8 67"]);
    expect(withScale(packed, "nn.linear").length).toBe(1);
  });

  test("and so does one that start_pos goes into the rows of", async () => {
    const graph = new Graph(coreOps);
    const b = graph.edit("test");
    const S = symbol("S", 8, 1);
    const tokens = b.input("tokens", tensorType("i64", [1, S]));
    const start = b.input("start_pos", tensorType("i64", [1]));
    const table = () => b.constant(inlineWeight(randomTensor("f32", [9, 4])));
    const counted = b("range", { start: b.dims(0), limit: b.dims(S), delta: b.dims(1) });
    const positions = b("nn.embedding", { table: table(), ids: b("add", { a: counted, b: start }) });
    const words = b("nn.embedding", { table: table(), ids: b("maximum", { a: tokens, b: b.dims(0) }) });
    b.output("y", b("add", { a: words, b: positions }));
    const { context } = (await load({ model: torchScriptLlama(llamaWeights()).source }, q8)).compilation;
    await quantizeEmbedding.run(graph, context);
    expect(verifyGraph(graph)).toEqual([]);
    const dtypes = graph.nodes.flatMap(({ args }) => (args.table as Value | undefined)?.type.dtype ?? []);
    expect(dtypes).toEqual(["i8", "f32"]);
  });

  test("nothing happens unasked", async () => {
    const packed = await packedOf(torchScriptLlama(llamaWeights()), { embedding: "auto" });
    expect([...withScale(packed, "nn.embedding"), ...withScale(packed, "nn.linear")]).toEqual([]);
  });

  const [untied, tied, gpt2] = [llamaWeights(), llamaWeights({ isTied: true }), gpt2Weights()];
  const gemma = { embeddingScale: 8, softcap: 20, headSoftcap: 10 };
  const embedding = throughQ8(untied.embedding);
  const shared = throughQ8(tied.embedding);
  const once = { ...untied, embedding, head: throughQ8(untied.head) };
  test.each<[string, ExportedModel, ExportedModel]>([
    ["an untied head", torchScriptLlama(untied), torchScriptLlama(once)],
    ["a tied head", torchScriptLlama(tied), torchScriptLlama({ ...tied, embedding: shared, head: shared })],
    ["a capped head", torchScriptLlama(untied, { gemma }), torchScriptLlama(once, { gemma })],
    ["GPT-2", torchScriptGpt2(gpt2), torchScriptGpt2({ ...gpt2, tokens: throughQ8(gpt2.tokens) })],
  ])("computes what the quantised numbers do: %s", async (_, model, reference) => {
    const packed = await packedOf(model);
    expect(withScale(packed, "nn.linear").length).toBe(1);
    const { difference, isSameChoice } = await compareWithImported(reference, packed);
    expect(difference).toBeLessThan(1e-4);
    expect(isSameChoice).toBe(true);
  });
});
