import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

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
  });
});

it("the generated pages of docs say what the tables say", () => {
  const generate = ["scripts/run.js", "scripts/generate-docs.ts", "--check"];
  const { status, stderr } = spawnSync(process.execPath, generate, { cwd: root, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
