// npm run accuracy: compiles the test model from each of its sources and compares it with what transformers
// computed for it in f32. Prints the table of docs/accuracy.md.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type Session } from "../src/runtime/index.ts";
import { unpacked } from "../test/support/archive.ts";
import { type ReferencePrompt, readReference } from "../test/support/reference.ts";

const folder = unpacked("bard.tar.br");
const reference = readReference(folder);
const models = [
  ["hf-packed", "offline"],
  ["hf-bf16", "online"],
  ["onnx/dynamo-kv.onnx", "offline"],
  ["onnx/dynamo-kv-opset23.onnx", "offline"],
  ["onnx/dynamo-external-kv.onnx", "offline"],
  ["onnx/dynamo-nokv.onnx", "offline"],
  ["onnx/dynamo-online-kv.onnx", "online"],
  ["onnx/dynamo-packed-kv.onnx", "packed"],
  ["onnx/torchscript-kv.onnx", "offline"],
] as const;

/** Compiles in a process of its own, to measure it alone. */
function compile(path: string, program: string): { seconds: number; megabytes: number } {
  const atExit = "process.on('exit',()=>console.error('maxrss='+process.resourceUsage().maxRSS))";
  const since = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      ...["--import", `data:text/javascript,${atExit}`, "dist/cli/main.js", "compile", join(folder, path)],
      ...["-o", program, "--logits", "all", "--max-seq-len", "512", "--json"],
    ],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stderr);
  const kilobytes = Number(/maxrss=(\d+)/.exec(stderr)![1]);
  return { seconds: (performance.now() - since) / 1000, megabytes: kilobytes / 1024 };
}

const argmax = (row: ArrayLike<number>): number => {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
};

async function comparePrompt(session: Session, { ids, logits, greedy }: ReferencePrompt) {
  let [agreeing, largest, row] = [0, 0, 0];
  const width = logits.length / ids.length;
  for await (const ours of session.logits(ids)) {
    const theirs = logits.subarray(row * width, ++row * width);
    if (argmax(ours) === argmax(theirs)) agreeing++;
    for (let i = 0; i < width; i++) largest = Math.max(largest, Math.abs(ours[i]! - theirs[i]!));
  }
  const tokens: number[] = [];
  for await (const { id } of session.generate({ ids }, { maxNewTokens: greedy.length })) tokens.push(id);
  const differs = tokens.findIndex((id, i) => id !== greedy[i]);
  return { agreeing, of: ids.length, largest, greedy: differs < 0 ? tokens.length : differs };
}

const out = mkdtempSync(join(tmpdir(), "bitnetc-accuracy-"));
console.log(
  "| source | top-1 | largest logit difference | greedy tokens equal, of 64 | perplexity | reference | compile s | peak MB |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const [path, kind] of models) {
  const program = join(out, "model.pte");
  const cost = compile(path, program);
  const session = await open(new Uint8Array(readFileSync(program)), { device: "cpu" });
  const prompts = [];
  for (const prompt of reference[kind].prompts) prompts.push(await comparePrompt(session, prompt));
  const { perplexity } = await session.perplexity(reference.validation, { window: 256 });
  const expected = reference[kind].perplexity;
  const columns = [
    path.replace("onnx/", ""),
    prompts.map(({ agreeing, of }) => `${agreeing}/${of}`).join(" "),
    prompts.map(({ largest }) => largest.toExponential(1)).join(" "),
    prompts.map(({ greedy }) => greedy).join(" "),
    `${perplexity.toFixed(4)} (${((perplexity / expected - 1) * 100).toFixed(3)} %)`,
    `${expected.toFixed(4)} ${kind}`,
    cost.seconds.toFixed(1),
    cost.megabytes.toFixed(0),
  ];
  console.log(`| ${columns.join(" | ")} |`);
}
rmSync(out, { recursive: true, force: true });
