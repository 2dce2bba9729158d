import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { backends } from "../../src/backends/index.ts";
import { type OptionsInput, parseOptions } from "../../src/options.ts";
import { decodeNpy, encodeNpy } from "../../src/tensor/npy.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { modelBytes, node, onnx, rawTensor, value } from "../onnx/build-model.ts";
import { unpacked } from "../support/archive.ts";
import { readReference } from "../support/reference.ts";
import { runCli, temporaryFolder } from "./run-cli.ts";

const { FLOAT } = onnx.TensorProto.DataType;
const folder = temporaryFolder();
const model = folder.file("model.onnx");
const endless = folder.file("endless.onnx");
const out = folder.file("model.pte");
const bard = unpacked("bard.tar.br");

beforeAll(() => {
  // y = erf(x · w) · w
  const weight = rawTensor("w", FLOAT, [2, 2], Float32Array.of(1, 2, 0, -1));
  const graphOf = (rows: number | string) => ({
    input: [value("x", FLOAT, [rows, 2])],
    output: [value("y", FLOAT, [rows, 2])],
    initializer: [weight],
    node: [node("MatMul", ["x", "w"], ["a"]), node("Erf", ["a"], ["b"]), node("MatMul", ["b", "w"], ["y"])],
  });
  writeFileSync(model, modelBytes({ graph: graphOf(2) }));
  writeFileSync(endless, modelBytes({ graph: graphOf("rows") }));
});
afterAll(() => folder.remove());

describe("--backend vulkan", () => {
  it("says what runs outside of the delegate, and the program runs", async () => {
    const { code, err, out: printed } = await runCli("compile", model, "-o", out, "--backend", "vulkan");
    expect(code).toBe(0);
    expect(err).toContain("warning[nodes-outside]: Portable kernels will run a node on the CPU");
    expect(err).toContain("erf: no op of the GPU backends computes it");
    expect(printed).toMatch(/model\.pte: .* in .* s\n/);
    const x = folder.file("x.npy");
    writeFileSync(x, encodeNpy(tensor("f32", [2, 2], [1, 0, 0.5, 0.25])));
    await runCli("run", out, "--input", `x=${x}`, "--output-dir", folder.path);
    const erf = (z: number) =>
      (2 / Math.sqrt(Math.PI)) *
      Array.from({ length: 40 }).reduce<{ sum: number; term: number }>(
        ({ sum, term }, _, n) => ({ sum: sum + term / (2 * n + 1), term: (-term * z * z) / (n + 1) }),
        { sum: 0, term: z },
      ).sum;
    const product = ([a, b]: readonly number[]) => [a!, 2 * a! - b!];
    const expected = [
      [1, 0],
      [0.5, 0.25],
    ].flatMap((row) => product(product(row).map(erf)));
    const y = decodeNpy("y", readFileSync(folder.file("y.npy")));
    expect(y.shape).toEqual([2, 2]);
    y.data.forEach((each: number, i: number) => {
      expect(each).toBeCloseTo(expected[i]!, 5);
    });
  });

  it("is explained: where nodes run, and why", async () => {
    const { code, out: printed, err } = await runCli("explain", model, "--backend", "vulkan");
    expect(code).toBe(0);
    expect(printed).toMatch(/What runs together: .*delegate 0/);
    expect(printed).toMatch(/kernels/);
    expect(printed + err).toContain("erf: no op of the GPU backends computes it");
    const json = JSON.parse((await runCli("explain", model, "--backend", "vulkan", "--json")).out);
    expect(json.partition).toEqual({
      groups: { "delegate 0": 1, "delegate 1": 1, kernels: 1 },
      refused: [{ op: "erf", source: expect.any(String), why: expect.stringContaining("no op") }],
    });
  });

  it.each(["vulkan", "portable"])("or %s refuses a size that has no end", async (backend) => {
    const { code, err } = await runCli(
      "compile",
      endless,
      "-o",
      folder.file("none.pte"),
      "--backend",
      backend,
    );
    expect(code).toBe(1);
    expect(err).toContain("error[unbounded-size]: Axis 0 of the input x");
  });

  it("is inspected", async () => {
    await runCli("compile", model, "-o", out, "--backend", "vulkan");
    const { code, out: printed } = await runCli("inspect", out);
    expect(code).toBe(0);
    expect(printed).toContain("VulkanBackend");
    expect(printed).toContain("aten.linear.default");
    const json = JSON.parse((await runCli("inspect", out, "--json")).out);
    expect(json).toMatchObject({ kind: "program" });
    expect(JSON.stringify(json)).toContain("aten::erf");
  });

  it("continues a prompt with an embedding of four bits", async () => {
    const args = ["--backend", "vulkan", "--embedding", "q4", "--max-seq-len", "64"];
    const compiled = await runCli("compile", `${bard}/hf-packed`, "-o", out, ...args, "--json");
    expect(compiled).toMatchObject({ code: 0, err: "" });
    const { sizes, partition } = JSON.parse(compiled.out);
    expect(sizes.embedding).toBe(2048 * (256 / 2 + 2 * 4 * (256 / 32)));
    expect(partition.refused).toEqual([]);
    const { ids, greedy } = readReference(bard).offline.prompts[0]!;
    const run = await runCli("run", out, "--input-ids", ids.join(), "--max-new-tokens", "4", "--json");
    expect(run.code).toBe(0);
    const { prompt_ids, output_ids } = JSON.parse(run.out);
    expect(prompt_ids).toEqual(ids);
    expect(output_ids.length).toBe(4);
    expect(output_ids[0]).toBe(greedy[0]);
  });
});

describe("what a backend does not have", () => {
  const embeddings = ["auto", "f16", "bf16", "f32", "q8", "q4"] as const;
  const possible: Readonly<Record<keyof typeof backends, readonly string[]>> = {
    webgpu: ["auto", "f16", "bf16", "f32", "q8"],
    vulkan: ["auto", "f32", "q4"],
    portable: ["auto", "f16", "bf16", "f32", "q8"],
  };
  const others: Readonly<Record<string, string>> = {
    f16: "webgpu or portable",
    bf16: "webgpu or portable",
    q8: "webgpu or portable",
    q4: "vulkan",
  };
  const pairs = Object.keys(possible).flatMap((backend) =>
    embeddings.map(
      (embedding) => [backend, embedding] as [keyof typeof backends, (typeof embeddings)[number]],
    ),
  );

  it.each(pairs)("%s and --embedding %s", async (backend, embedding) => {
    const args = ["explain", model, "--backend", backend, "--embedding", embedding];
    if (possible[backend].includes(embedding)) {
      expect(parseOptions({ backend, embedding })).toMatchObject({ backend, embedding });
      expect((await runCli(...args)).code).toBe(0);
      return;
    }
    expect(() => parseOptions({ backend, embedding })).toThrow(
      expect.objectContaining({
        code: "option",
        message: expect.stringContaining(`backend ${others[embedding]}`),
      }),
    );
    const { code, err } = await runCli(...args);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringContaining(`--embedding ${embedding} goes with --backend ${others[embedding]}.`),
    });
  });

  it("names all of it at once, wherever it is said", async () => {
    const given: OptionsInput = { backend: "vulkan", embedding: "q8", customOps: "llama" };
    const { backend, embedding, customOps } = given;
    expect(() => parseOptions({ backend, embedding, customOps })).toThrow(/embedding[\s\S]*customOps/);
    writeFileSync(folder.file("c.json"), JSON.stringify(given));
    const config = ["--config", folder.file("c.json")];
    const all = await runCli("compile", model, "-o", out, ...config);
    expect(all.code).toBe(2);
    expect(all.err).toContain("--embedding q8 goes with --backend webgpu or portable.");
    expect(all.err).toContain("--custom-ops llama goes with --backend portable.");
    // The command line comes first.
    const fits = ["--backend", "portable"];
    expect((await runCli("compile", model, "-o", out, ...config, ...fits)).code).toBe(0);
    const same = ["--embedding", "q4"];
    const one = await runCli("compile", model, "-o", out, ...config, ...same);
    expect(one.err).not.toContain("--embedding");
    expect(one.err).toContain("--custom-ops llama");
  });
});
