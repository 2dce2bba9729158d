// npm run accuracy [-- cpu | webgpu | vulkan | portable]: compiles the test model from each of its sources and compares
// it, on that device, or on the CPU for that backend, with what transformers computed for it in f32. Prints the tables
// of docs/accuracy.md.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openProgram } from "../src/node.ts";
import type { Session } from "../src/runtime/index.ts";
import { unpacked } from "../test/support/archive.ts";
import {
  compareLogits,
  greedyTokens,
  type ReferencePrompt,
  readReference,
  sources,
} from "../test/support/reference.ts";

const [, , where = "cpu"] = process.argv;
const device = where === "webgpu" ? "webgpu" : "cpu";
const backend = where === "vulkan" || where === "portable" ? where : "webgpu";
const folder = unpacked("bard.tar.br");
const reference = readReference(folder);

/** Compiles in a process of its own, to measure it alone. */
function compile(path: string, program: string): { seconds: number; megabytes: number } {
  const atExit = "process.on('exit',()=>console.error('maxrss='+process.resourceUsage().maxRSS))";
  const since = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      ...["--import", `data:text/javascript,${atExit}`, "dist/cli/main.js", "compile", join(folder, path)],
      ...["-o", program, "--logits", "all", "--max-seq-len", "512", "--backend", backend, "--json"],
    ],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stderr);
  const kilobytes = Number(/maxrss=(\d+)/.exec(stderr)![1]);
  return { seconds: (performance.now() - since) / 1000, megabytes: kilobytes / 1024 };
}

async function comparePrompt(session: Session, prompt: ReferencePrompt) {
  const { positions, top1, difference } = await compareLogits(session, prompt);
  const tokens = await greedyTokens(session, prompt.ids, prompt.greedy.length);
  const differs = tokens.findIndex((id, i) => id !== prompt.greedy[i]);
  return { top1, of: positions, difference, greedy: differs < 0 ? tokens.length : differs };
}

const out = mkdtempSync(join(tmpdir(), "bitnetc-accuracy-"));
console.log(
  "| source | top-1 | largest logit difference | greedy tokens equal, of 64 | perplexity | reference | compile s | peak MB |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const { path, kind } of sources) {
  const program = join(out, "model.pte");
  const cost = compile(path, program);
  await using session = await openProgram(program, { device });
  const prompts = [];
  for (const prompt of reference[kind].prompts) prompts.push(await comparePrompt(session, prompt));
  const { perplexity } = await session.perplexity(reference.validation, { window: 256 });
  const expected = reference[kind].perplexity;
  const columns = [
    path.replace("onnx/", ""),
    prompts.map(({ top1, of }) => `${top1}/${of}`).join(" "),
    prompts.map(({ difference }) => difference.toExponential(1)).join(" "),
    prompts.map(({ greedy }) => greedy).join(" "),
    `${perplexity.toFixed(4)} (${((perplexity / expected - 1) * 100).toFixed(3)} %)`,
    `${expected.toFixed(4)} ${kind}`,
    cost.seconds.toFixed(1),
    cost.megabytes.toFixed(0),
  ];
  console.log(`| ${columns.join(" | ")} |`);
}
rmSync(out, { recursive: true, force: true });
