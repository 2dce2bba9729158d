import { cpSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelBytes, node, onnx, value } from "../onnx/build-model.ts";
import { UserProject } from "../plugins/user-project.ts";
import { unpacked } from "../support/archive.ts";

const { FLOAT } = onnx.TensorProto.DataType;
const checkpoint = `${unpacked("bard.tar.br")}/hf-packed`;
const layers = 4;
const plugin = "node_modules/bitnetc-plugin-acme/dist/index.js";
let project: UserProject;

const copied = (from: string, to: string): void =>
  cpSync(fileURLToPath(new URL(`../plugins/${from}`, import.meta.url)), project.path(to), {
    recursive: true,
  });

/** What a function of the user's script returns, called in a process of its own. */
async function call(name: string, ...args: string[]) {
  const script = `import * as main from "./build/main.js"; console.log(JSON.stringify(await main.${name}(...${JSON.stringify(args)})));`;
  const { out } = await project.mustRun(process.execPath, "--input-type=module", "--eval", script);
  return JSON.parse(out);
}

beforeAll(async () => {
  project = await UserProject.create();
  copied("acme", "acme");
  await project.tsc("-p", "acme");
  await project.install("acme");
  copied("project", ".");
  await project.tsc("-p", ".");
  const graph = {
    input: [value("gate", FLOAT, [1, 3]), value("up", FLOAT, [1, 3])],
    output: [value("y", FLOAT, [1, 3])],
    node: [node("Relu2Gate", ["gate", "up"], ["y"], [], { domain: "acme", name: "/mlp/gate" })],
  };
  project.write("own-op.onnx", modelBytes({ graph, opsets: { "": 20, acme: 1 } }));
}, 120_000);
afterAll(() => project?.remove(), 60_000);

describe("a plugin that is an installed package", { timeout: 60_000 }, () => {
  it("fuses, counts, listens, and is undone for the runtime", async () => {
    const found = await call("compareOnCheckpoint", checkpoint);
    expect(found.ops["acme.relu2_gate"]).toBe(layers);
    expect(found.ops["nn.relu2"]).toBeUndefined();
    expect(found.plainOps["nn.relu2"]).toBe(layers);
    expect(found.matched).toBe(layers);
    expect(found.metrics["acme.nodes"]).toBeGreaterThan(layers * 10);
    expect(found.metrics["acme.decomposed"]).toBe(layers);
    expect(found.heard).toEqual([`stateful ${layers}`, "packed 0"]);
    expect(found.hashes[1]).toBe(found.hashes[0]);
    expect(found.logits).toEqual({ count: 6 * 2048, differ: 0 });
  });

  it("leaves its op to a runtime that is given the kernel", async () => {
    const found = await call("runWithKernel", checkpoint);
    expect(found.differ).toBe(0);
    expect(found.without).toEqual([expect.stringMatching(/^kernel-missing: .*acme\.relu2_gate/)]);
  });

  it("imports an ONNX op of its own, which nothing else knows", async () => {
    const found = await call("compileOwnOp", "own-op.onnx");
    expect(found.ops).toEqual([{ "acme.relu2_gate": 1 }, { mul: 1, "nn.relu2": 1 }]);
    expect(found.y).toEqual([0, 28, -9]);
    expect(found.unsupported).toEqual([expect.stringMatching(/^onnx-unsupported-op: .*acme::Relu2Gate/)]);
  });

  it("says what it nearly fused and why not", async () => {
    const { ops, rule } = await call("nearMisses", checkpoint);
    expect(ops["acme.relu2_gate"]).toBeUndefined();
    expect(rule.matched).toBe(0);
    expect(rule.misses).toHaveLength(layers);
    expect(rule.misses[0]).toEqual({
      why: "the width 768 is not a multiple of 512",
      at: expect.stringMatching(/^hf:.*layers\.0\b/),
    });
  });

  it("is told of every clash at once", async () => {
    expect(await call("clashes", checkpoint)).toEqual([
      "plugin-clash: The plugin acme adds the plugin acme, but there is one already.",
      "plugin-clash: The plugin other adds the op acme.relu2_gate, but there is one already.",
      "plugin-clash: The plugin other adds the ONNX op acme::Relu2Gate, but there is one already.",
      "plugin-clash: The plugin other adds the pass fuse-norms, but there is one already.",
      "plugin-target: The plugin other refers to the pass no-such-pass, but there is none.",
      "plugin-clash: The plugin other adds the rule relu2, but there is one already.",
      "plugin-target: The plugin other refers to the pass no-such-pass, but there is none.",
      "plugin-target: The plugin other adds the rule twice-negated to the pass merge-duplicates, which is not made of rules.",
    ]);
  });

  it("is loaded by --plugin, and by a configuration file", async () => {
    const config = project.write("empty.config.json", "{}");
    const byOption = await project.mustRun(
      "bitnetc",
      "explain",
      checkpoint,
      "--config",
      config,
      "--plugin",
      plugin,
      "--json",
    );
    expect(JSON.parse(byOption.out).ops["acme.relu2_gate"]).toBe(layers);

    const byConfig = await project.mustRun("bitnetc", "explain", checkpoint);
    expect(byConfig.out).toContain("acme-relu2-gate: the width 768 is not a multiple of 512");
    expect(byConfig.out).toMatch(/at hf:.*layers\.0.* and 3 more/);

    const twice = await project.run("bitnetc", "explain", checkpoint, "--plugin", plugin);
    expect(twice.code).toBe(1);
    expect(twice.err).toContain("error[plugin-clash]: The plugin acme adds the plugin acme");
  });
});

describe("docs/plugins.md", () => {
  it("has examples that the type checker accepts", async () => {
    const page = readFileSync(new URL("../../docs/plugins.md", import.meta.url), "utf8");
    const examples = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text!);
    expect(examples).toHaveLength(8);
    copied("project/tsconfig.json", "documentation/tsconfig.json");
    for (const [i, text] of examples.entries()) project.write(`documentation/src/example-${i}.ts`, text);
    await project.tsc("-p", "documentation", "--noEmit");
  }, 60_000);
});

describe("examples/custom-pass", { timeout: 60_000 }, () => {
  const folder = fileURLToPath(new URL("../../examples/custom-pass/", import.meta.url));
  const read = (name: string): string => readFileSync(folder + name, "utf8");
  const config = "bitnetc.config.js";
  const names = readdirSync(folder).filter((name) => name !== "README.md");
  const blocks = [...read("README.md").matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
  let tutorial: string;

  beforeAll(() => {
    for (const name of names) if (name !== config) project.write(`tutorial/${name}`, read(name));
    tutorial = project.path("tutorial");
    symlinkSync(checkpoint, `${tutorial}/bard`);
  });

  it("shows code that is in its files, and the types of it are right", async () => {
    const unindented = (text: string) => text.replace(/^ +/gm, "");
    const files = names.map((name) => unindented(read(name)));
    const code = blocks.filter(({ language }) => language === "js" || language === "ts");
    expect(code.length).toBeGreaterThan(5);
    for (const { text } of code) {
      const found = files.filter((file) => file.includes(unindented(text)));
      expect(found, text).toHaveLength(1);
    }
    await project.tsc("-p", `${tutorial}/jsconfig.json`, "--noEmit");
  });

  it("prints what it says", async () => {
    let commands = 0;
    for (const { text, language } of blocks) {
      if (text === read(config)) project.write(`tutorial/${config}`, text);
      if (language !== "console") continue;
      for (const step of text.split(/^\$ npx /m).slice(1)) {
        const [command, ...expected] = step.split("\n");
        const { out, err } = await project.runIn(tutorial, "sh", "-c", command!);
        expect(`${out}${err}`, command).toMatch(asPattern(expected));
        commands++;
      }
    }
    expect(commands).toBe(6);
  });

  /** A line with an ellipsis stands for any lines; seconds, the size of a program and the numbers of values differ. */
  function asPattern(lines: readonly string[]): RegExp {
    const literal = (line: string) => line.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    const pattern = (line: string) =>
      literal(line)
        .replace(/%\d+/g, "%\\d+")
        .replace(/ [\d.\\]+ MiB in [\d.\\]+ s$/, " [\\d.]+ MiB in [\\d.]+ s");
    const patterns = lines.map((line) => (line === "…" ? "(?:.*\n)*?" : line && `${pattern(line)}\n`));
    return new RegExp(`^${patterns.join("")}$`);
  }
});
