// Compiles the model beside this file and prints what it writes: `npm run demo`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const model = fileURLToPath(new URL("model.onnx", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bitnetc-demo-"));
const program = join(folder, "bard.pte");

function bitnetc(...args) {
  const shown = args.map((arg) => (/[\s"]/.test(arg) ? JSON.stringify(arg) : arg)).join(" ");
  console.log(
    `\n$ bitnetc ${shown.replace(model, relative(process.cwd(), model)).replace(program, "bard.pte")}`,
  );
  const { status } = spawnSync(process.execPath, [cli, ...args], { stdio: "inherit" });
  if (status !== 0) process.exitCode = status ?? 1;
}

bitnetc("compile", model, "-o", program);
bitnetc(
  "run",
  program,
  "--prompt",
  "ROMEO:\n",
  "--max-new-tokens",
  "120",
  "--temperature",
  "0.8",
  "--top-p",
  "0.9",
  "--seed",
  "4",
);
rmSync(folder, { recursive: true, force: true });
