import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig, loadPlugin } from "../../src/cli/config.ts";
import { type OptionSpec, optionNames, options } from "../../src/cli/options.ts";
import { optionsSchema } from "../../src/options.ts";
import { temporaryFolder } from "./run-cli.ts";

const folder = temporaryFolder();
const write = (name: string, text: string): string => {
  writeFileSync(folder.file(name), text);
  return folder.file(name);
};
const plugin = (name: string) => `{ name: ${JSON.stringify(name)}, setup() {} }`;
afterAll(() => folder.remove());

describe("loadConfig", () => {
  it("reads options and plugins from a module", async () => {
    write("acme.mjs", `export default ${plugin("acme")};`);
    const path = write(
      "a.mjs",
      `export default { weights: "tq1_0", maxSeqLen: 64, plugins: ["./acme.mjs", ${plugin("own")}] };`,
    );
    const { options: read, plugins } = await loadConfig(path);
    expect(read).toEqual({ weights: "tq1_0", maxSeqLen: 64 });
    expect(plugins.map(({ name }) => name)).toEqual(["acme", "own"]);
  });

  it("finds the file in the working folder, a module before JSON", async () => {
    const empty = temporaryFolder();
    expect(await loadConfig(undefined, empty.path)).toEqual({ options: {}, plugins: [] });
    empty.remove();
    write("bitnetc.config.json", '{"logits": "all"}');
    expect((await loadConfig(undefined, folder.path)).options).toEqual({ logits: "all" });
    write("bitnetc.config.mjs", 'export default { logits: "last" };');
    expect((await loadConfig(undefined, folder.path)).options).toEqual({ logits: "last" });
  });

  it.each([
    [
      "b1.json",
      '{"weights": "q9", "maxSeqLen": 0, "wieghts": 1}',
      /at weights[\s\S]*at maxSeqLen[\s\S]*wieghts/,
    ],
    ["b2.json", "{", /is not JSON/],
    ["b3.mjs", "export default {", /cannot be loaded/],
    ["b4.mjs", "export const x = 1;", /expected object/],
    ["b5.json", '{"plugins": [{"name": "x"}]}', /at plugins\.0/],
    ["b6.json", '{"output": "x"}', /output/],
  ])("refuses %s: %s", async (name, text, message) => {
    await expect(loadConfig(write(name, text))).rejects.toThrow(message);
    await expect(loadConfig(folder.file(name))).rejects.toThrow(/error\[config-file\]/);
  });

  it("says that a file it was told to read is missing", async () => {
    await expect(loadConfig(folder.file("none.json"))).rejects.toThrow(/error\[file-missing\]/);
  });
});

describe("loadPlugin", () => {
  it.each([
    ["p1.mjs", "export default 3;", /no default export/],
    ["p2.mjs", "import './none.mjs';", /cannot be loaded/],
  ])("refuses %s: %s", async (name, text, message) => {
    await expect(loadPlugin(write(name, text))).rejects.toThrow(message);
    await expect(loadPlugin(folder.file(name))).rejects.toThrow(/error\[plugin-file\]/);
  });
});

it("every option of the compiler is one of the command line and of the configuration file", () => {
  const inConfig = optionNames.filter((name) => (options[name] as OptionSpec).inConfig);
  expect(inConfig.sort()).toEqual(Object.keys(optionsSchema.shape).sort());
});
