import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bitnetc-readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the README's example runs as it stands", async () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [, code] = /```ts\n(.*?)```/s.exec(readme)!;
  expect(code!.trim().split("\n").length).toBeLessThanOrEqual(10);
  const script = join(folder, "example.mjs");
  await build({
    stdin: { contents: code!, resolveDir: root, loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    alias: { "bitnetc/node": join(root, "src/node.ts") },
    packages: "external",
    outfile: script,
  });
  symlinkSync(join(root, "examples"), join(folder, "examples"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const text = execFileSync(process.execPath, [script], { cwd: folder, encoding: "utf8" });
  expect(text).toMatch(/^And, that's the matter, that I have not heard\n/);
}, 60_000);
