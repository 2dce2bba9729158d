import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256Hex } from "../../src/tensor/sha256.ts";
import { unpacked } from "../support/archive.ts";
import { temporaryFolder } from "./run-cli.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
// Within node_modules, so that the packages are found from there.
const installed = join(root, "node_modules/.cache/bitnetc", `test-cli-${process.pid}`);
const main = join(installed, "dist/cli/main.mjs");

beforeAll(async () => {
  mkdirSync(installed, { recursive: true });
  copyFileSync(join(root, "package.json"), join(installed, "package.json"));
  const common = {
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    packages: "external",
  } as const;
  await build({ ...common, entryPoints: [join(root, "src/cli/main.ts")], outfile: main });
});
afterAll(() => rmSync(installed, { recursive: true }));

const bitnetc = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });

describe("the program bitnetc", () => {
  it("begins with a line that makes it executable", () => {
    expect(readFileSync(main, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it("exits with 0, 1 and 2", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(bitnetc("--version")).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: "" });
    expect(bitnetc("inspect", "none.pte")).toMatchObject({ status: 1, stdout: "" });
    expect(bitnetc("inspect")).toMatchObject({ status: 2, stdout: "" });
    expect(JSON.parse(bitnetc("inspect", "--json").stdout).errors[0].code).toBe("usage");
  });

  it.runIf(process.platform !== "win32")("ends quietly when its reader does", () => {
    const line = `"${process.execPath}" "${main}" completion fish | head -c 1; echo " \${PIPESTATUS[0]}"`;
    expect(execFileSync("bash", ["-c", line], { encoding: "utf8", stdio: "pipe" })).toBe("c 0\n");
    const unread = `"${process.execPath}" "${main}" inspect none.pte 2> >(true); echo $?`;
    expect(execFileSync("bash", ["-c", unread], { encoding: "utf8", stdio: "pipe" })).toBe("1\n");
  });

  it.runIf(process.platform === "linux")("says that its output cannot be written", () => {
    const line = `"${process.execPath}" "${main}" completion fish > /dev/full`;
    const { status, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^error\[file-write\].*disk is full/),
    });
    expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
  });
});

describe("what a compilation gives", () => {
  const bard = unpacked("bard.tar.br");
  const here = temporaryFolder();
  const there = temporaryFolder();
  afterAll(() => {
    here.remove();
    there.remove();
  });

  /** Compiles in a process of its own that works in `folder`. */
  function compiled(folder: string, model: string) {
    const args = ["compile", model, "-o", "model.pte", "--json"];
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
      cwd: folder,
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const { phases, rules } = JSON.parse(stdout);
    return {
      hashes: phases.map(({ hash }: { hash: string }) => hash),
      rules,
      program: sha256Hex(readFileSync(join(folder, "model.pte"))),
    };
  }

  it.each([["hf-packed"], ["onnx/dynamo-external-kv.onnx", "onnx/dynamo-external-kv.onnx.data"]])(
    "is the same in each process, wherever %s lies",
    (...files) => {
      const [model] = files;
      for (const file of files)
        cpSync(join(bard, file), join(there.path, basename(file)), { recursive: true });
      const first = compiled(here.path, join(bard, model!));
      expect(new Set(first.hashes).size).toBeGreaterThan(1);
      expect(compiled(there.path, basename(model!))).toEqual(first);
    },
  );
});

it("the generated pages of docs say what the tables say", () => {
  const generate = ["scripts/run.js", "scripts/generate-docs.ts", "--check"];
  const { status, stderr } = spawnSync(process.execPath, generate, { cwd: root, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
