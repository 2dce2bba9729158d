import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFile } from "../../src/node/compile-file.ts";
import { decodeNpy, encodeNpy } from "../../src/tensor/npy.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { modelBytes, node, onnx, rawTensor, value } from "../onnx/build-model.ts";
import { runCli, temporaryFolder } from "./run-cli.ts";

const { FLOAT } = onnx.TensorProto.DataType;
const folder = temporaryFolder();
const model = folder.file("model.onnx");
const strange = folder.file("strange.onnx");
const out = folder.file("model.pte");

beforeAll(() => {
  const weight = rawTensor("w", FLOAT, [3], Float32Array.of(1, 2, 3));
  const graph = {
    input: [value("x", FLOAT, [2, 3])],
    output: [value("y", FLOAT, [2, 3])],
    initializer: [weight],
  };
  writeFileSync(model, modelBytes({ graph: { ...graph, node: [node("Mul", ["x", "w"], ["y"])] } }));
  const unknown = [
    node("Frobnicate", ["x"], ["a"]),
    node("Twiddle", ["x"], ["b"]),
    node("Add", ["a", "b"], ["y"]),
  ];
  writeFileSync(strange, modelBytes({ graph: { ...graph, node: unknown } }));
});
afterAll(() => folder.remove());

describe("bitnetc compile", () => {
  it("writes a program that runs", async () => {
    const { code, out: printed, err } = await runCli("compile", model, "-o", out);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(printed).toMatch(/model\.pte: .* in .* s\n/);
    expect(readFileSync(out).toString("latin1", 4, 8)).toBe("ET12");
    const x = folder.file("x.npy");
    writeFileSync(x, encodeNpy(tensor("f32", [2, 3], [1, 1, 1, 2, 2, 2])));
    await runCli("run", out, "--input", `x=${x}`, "--output-dir", folder.path);
    expect([...decodeNpy("y", readFileSync(folder.file("y.npy"))).data]).toEqual([1, 2, 3, 2, 4, 6]);
    expect((await runCli("run", out, "--prompt", "a")).err).toContain("error[not-a-language-model]");
  });

  it("takes custom kernels for portable programs only", async () => {
    const args = ["compile", model, "-o", out, "--custom-ops", "llama"];
    expect((await runCli(...args, "--backend", "portable")).code).toBe(0);
    const { code, err } = await runCli(...args);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("--backend portable") });
  });

  it("reports phases, ops and sizes as JSON", async () => {
    const { out: printed } = await runCli("compile", model, "-o", out, "--json");
    const report = JSON.parse(printed);
    expect(report).toMatchObject({
      output: out,
      size: readFileSync(out).length,
      ops: { mul: 1 },
      sizes: { total: 12 },
    });
    expect(report.phases.map(({ phase }: { phase: string }) => phase)).toEqual([
      "import",
      "canonical",
      "fused",
      "stateful",
      "packed",
      "partitioned",
      "planned",
    ]);
  });

  it("stops at a phase and shows the graph", async () => {
    const { code, out: printed } = await runCli("compile", model, "--to", "canonical");
    expect(code).toBe(0);
    expect(printed).toMatch(/= mul\(/);
    const json = JSON.parse((await runCli("compile", model, "--to", "canonical", "--json")).out);
    expect(json.graph).toBe(printed);
    expect(json.phases).toHaveLength(2);
    await runCli("compile", model, "--to", "canonical", "-o", folder.file("graph.txt"));
    expect(readFileSync(folder.file("graph.txt"), "utf8")).toBe(printed);
  });

  it("dumps the graph after every phase", async () => {
    await runCli("compile", model, "-o", out, "--dump", folder.file("dump"));
    const files = readdirSync(folder.file("dump"));
    expect(files).toEqual([
      "0-import.txt",
      "1-canonical.txt",
      "2-fused.txt",
      "3-stateful.txt",
      "4-packed.txt",
      "5-partitioned.txt",
      "6-planned.txt",
    ]);
    for (const file of files) expect(readFileSync(folder.file(`dump/${file}`), "utf8")).toContain("output");
  });

  it("applies plugins, and options in the order command line, file, defaults", async () => {
    const path = folder.file("plugin.mjs");
    writeFileSync(
      path,
      `export default { name: "seen", setup(build) { globalThis.seenOptions = build.options; } };`,
    );
    writeFileSync(
      folder.file("c.json"),
      '{"weights": "tq1_0", "logits": "all", "plugins": ["./plugin.mjs"]}',
    );
    await runCli("compile", model, "-o", out, "--config", folder.file("c.json"), "--logits", "last");
    expect(globalThis).toHaveProperty(
      "seenOptions",
      expect.objectContaining({ weights: "tq1_0", logits: "last", embedding: "auto" }),
    );
    const twice = await runCli("compile", model, "-o", out, "--plugin", path, "--plugin", path);
    expect(twice.code).toBe(1);
  });

  it("says all that is unsupported, and leaves no file behind", async () => {
    const before = readdirSync(folder.path);
    const { code, out: printed, err } = await runCli("compile", strange, "-o", folder.file("none.pte"));
    expect({ code, printed }).toEqual({ code: 1, printed: "" });
    expect(err).toContain("Frobnicate");
    expect(err).toContain("Twiddle");
    expect(err).not.toMatch(/^\s+at .*:\d+:\d+/m);
    expect(readdirSync(folder.path)).toEqual(before);
    const verbose = await runCli("compile", strange, "-o", folder.file("none.pte"), "--verbose");
    expect(verbose.err).toMatch(/^\s+at .*:\d+:\d+/m);
  });

  it("does not replace the model", async () => {
    const before = readFileSync(model);
    symlinkSync(model, folder.file("link.pte"));
    for (const args of [
      ["-o", model],
      ["-o", folder.file("link.pte")],
      ["-o", model, "--to", "fused"],
    ]) {
      const { code, err } = await runCli("compile", model, ...args);
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("error[output-is-input]") });
    }
    await expect(compileFile(model, model)).rejects.toThrow(/error\[output-is-input\]/);
    expect(readFileSync(model)).toEqual(before);
  });

  it.each([
    [2, "usage", () => ["compile", model]],
    [1, "file-missing", () => ["compile", folder.file("none.onnx"), "-o", out]],
    [1, "input-kind", () => ["compile", folder.file("model.pte"), "-o", out]],
    [1, "file-write", () => ["compile", model, "-o", folder.file("no/folder.pte")]],
    [1, "file-write", () => ["compile", model, "-o", out, "--dump", model]],
    [1, "file-missing", () => ["compile", model, "-o", out, "--plugin", folder.file("none.mjs")]],
  ])("exits with %i for %s", async (code, wanted, args) => {
    const result = await runCli(...args());
    expect(result.code).toBe(code);
    expect(result.err).toContain(`error[${wanted}]`);
    expect(existsSync(folder.file("no"))).toBe(false);
  });
});

describe("bitnetc explain", () => {
  it("says what remains of a model", async () => {
    const { code, out: printed } = await runCli("explain", model);
    expect(code).toBe(0);
    expect(printed).toContain("What remains: 1 mul");
    expect(JSON.parse((await runCli("explain", model, "--json")).out)).toMatchObject({ ops: { mul: 1 } });
  });

  it("fails for what is unsupported", async () => {
    const { code, err } = await runCli("explain", strange);
    expect(code).toBe(1);
    expect(err).toContain("Frobnicate");
    const json = await runCli("explain", strange, "--json");
    expect({ code: json.code, err: json.err }).toEqual({ code: 1, err: "" });
    expect(JSON.stringify(JSON.parse(json.out).errors)).toContain("Twiddle");
  });
});

describe("bitnetc inspect", () => {
  it("shows a program", async () => {
    await runCli("compile", model, "-o", out);
    const { code, out: printed } = await runCli("inspect", out);
    expect(code).toBe(0);
    expect(printed).toMatch(
      /ExecuTorch program[\s\S]*1 mul[\s\S]*forward +\(x: float \[2, 3\]\) -> y: float \[2, 3\]/,
    );
    const json = JSON.parse((await runCli("inspect", out, "--json")).out);
    expect(json).toMatchObject({
      kind: "program",
      ops: { mul: 1 },
      executedOps: { mul: 1 },
      sizes: { total: 12 },
      delegates: [{ method: "forward" }],
      tables: {
        file: { name: out, size: readFileSync(out).length },
        header: { segmentBase: expect.any(Number) },
      },
    });
  });

  it("shows an ONNX model, supported or not", async () => {
    const { out: printed } = await runCli("inspect", strange);
    expect(printed).toMatch(
      /1 Add, 1 Frobnicate, 1 Twiddle[\s\S]*1 tensors, 3 elements[\s\S]*x +f32 \[2, 3\]/,
    );
    const json = JSON.parse((await runCli("inspect", model, "--json")).out);
    expect(json).toMatchObject({
      kind: "onnx",
      nodes: { Mul: 1 },
      inputs: [{ name: "x", dtype: "f32", shape: [2, 3] }],
      weights: { tensors: 1, elements: 3, bytes: 12, byType: { f32: { tensors: 1 } } },
    });
  });

  it("says that a file is neither", async () => {
    const { code, err } = await runCli("inspect", folder.file("plugin.mjs"));
    expect(code).toBe(1);
    expect(err).toContain("error[program-identifier]");
  });
});
