import { join } from "node:path";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import { measureBandwidth } from "../../node/bandwidth.ts";
import { makeFolder, writeFile } from "../../node/file-sink.ts";
import { readBytes } from "../../node/file-source.ts";
import type { Prompt, Session } from "../../runtime/index.ts";
import { decodeNpy, encodeNpy } from "../../tensor/npy.ts";
import { encodeSafetensors } from "../../tensor/safetensors-writer.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { CommandCall } from "../cli.ts";
import { exitCodes, printJson } from "../io.ts";
import { openForCommand } from "../open-program.ts";
import { formatProfile, summarise } from "../profile.ts";

type Call = CommandCall<"run">;

export async function run(call: Call): Promise<number> {
  const job = jobOf(call);
  const started = performance.now();
  await using session = await openForCommand(call);
  const loadMs = performance.now() - started;
  const work = () =>
    job.kind === "tensors"
      ? runTensors(session, job.inputs, call, loadMs)
      : continuePrompt(session, job.prompt, call, loadMs);
  if (call.options.profile) {
    const summary = summarise(await session.profile(work), 1);
    call.io.err(formatProfile("the whole run", summary, (await measureBandwidth()) / 1e9));
  } else await work();
  return exitCodes.ok;
}

type Job =
  | { readonly kind: "tensors"; readonly inputs: ReadonlyMap<string, string> }
  | { readonly kind: "prompt"; readonly prompt: Prompt };

/** What is to be run. @throws BitnetcError `usage` for options that do not go together */
function jobOf({ options }: Call): Job {
  const { prompt, inputIds, chat, input, outputDir, logitsOut } = options;
  const faults: Diagnostic[] = [];
  const given = [prompt !== undefined, inputIds !== undefined, input.length > 0].filter(Boolean).length;
  if (given !== 1) faults.push(diagnostics.usage("Give one of --prompt, --input-ids and --input."));
  if (chat && prompt === undefined) faults.push(diagnostics.usage("--chat goes with --prompt."));
  if (outputDir !== undefined && input.length === 0)
    faults.push(diagnostics.usage("--output-dir goes with --input."));
  if (logitsOut !== undefined && input.length > 0)
    faults.push(diagnostics.usage("--logits-out goes with a prompt."));
  const inputs = new Map<string, string>();
  for (const text of input) {
    const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (name === undefined || path === undefined)
      faults.push(diagnostics.usage(`--input ${text} is not NAME=FILE.`));
    else if (inputs.has(name)) faults.push(diagnostics.usage(`--input ${name} is given twice.`));
    else inputs.set(name, path);
  }
  const ids = inputIds?.split(",").map((id) => (/^\s*\d+\s*$/.test(id) ? Number(id) : Number.NaN)) ?? [];
  if (ids.some(Number.isNaN))
    faults.push(diagnostics.usage("--input-ids takes token ids, separated by commas."));
  if (faults.length > 0) throw new BitnetcError(faults);
  if (input.length > 0) return { kind: "tensors", inputs };
  if (prompt === undefined) return { kind: "prompt", prompt: { ids } };
  return { kind: "prompt", prompt: chat ? [{ role: "user", content: prompt }] : prompt };
}

async function continuePrompt(
  session: Session,
  prompt: Prompt,
  { options, io }: Call,
  loadMs: number,
): Promise<void> {
  if (!session.info.isLanguageModel) throw new BitnetcError(diagnostics.notLanguageModel());
  const promptIds = await session.encode(prompt);
  if (options.logitsOut !== undefined) {
    await writeFile(options.logitsOut, encodeSafetensors({ logits: await allLogits(session, promptIds) }));
  }
  const outputIds: number[] = [];
  let text = "";
  let firstAt = 0;
  const started = performance.now();
  for await (const token of session.generate({ ids: promptIds }, options)) {
    if (outputIds.length === 0) firstAt = performance.now();
    outputIds.push(token.id);
    text += token.text;
    if (!options.json)
      io.out(session.info.hasTokenizer ? token.text : `${outputIds.length > 1 ? "," : ""}${token.id}`);
    if (token.finish === "capacity" && !options.json) {
      io.err(`\nThe program has room for ${session.info.maxSeqLen} positions: the text ends here.`);
    }
  }
  const decodeMs = performance.now() - firstAt;
  const timings = {
    load_ms: rounded(loadMs),
    prompt_ms: rounded(outputIds.length > 0 ? firstAt - started : 0),
    decode_ms: rounded(outputIds.length > 0 ? decodeMs : 0),
    tokens_per_second: rounded(outputIds.length > 1 ? ((outputIds.length - 1) * 1000) / decodeMs : 0),
  };
  if (options.json) {
    printJson(io, { prompt_ids: promptIds, output_ids: outputIds, text, device: session.device, timings });
    return;
  }
  io.out("\n");
  if (io.isTerminal || options.verbose) {
    io.err(
      `${promptIds.length} tokens read in ${timings.prompt_ms} ms, ${outputIds.length} made at ` +
        `${timings.tokens_per_second} tokens/s on ${session.device}\n`,
    );
  }
}

/** Logits [T, V] after each of the T ids. */
async function allLogits(session: Session, ids: readonly number[]): Promise<Tensor> {
  let data = new Float32Array(0);
  let position = 0;
  for await (const row of session.logits(ids)) {
    if (position === 0) data = new Float32Array(ids.length * row.length);
    data.set(row, position++ * row.length);
  }
  return tensor("f32", [ids.length, data.length / ids.length], data);
}

async function runTensors(
  session: Session,
  paths: ReadonlyMap<string, string>,
  { options, io }: Call,
  loadMs: number,
): Promise<void> {
  const inputs: Record<string, Tensor> = {};
  for (const [name, path] of paths) inputs[name] = decodeNpy(path, await readBytes(path));
  const started = performance.now();
  const outputs = Object.entries(await session.run(inputs));
  const runMs = performance.now() - started;
  const written: { name: string; dtype: string; shape: readonly number[]; file?: string }[] = [];
  if (options.outputDir !== undefined) await makeFolder(options.outputDir);
  for (const [name, value] of outputs) {
    const about = { name, dtype: value.dtype, shape: value.shape };
    if (options.outputDir === undefined) {
      written.push(about);
      continue;
    }
    // An output's name comes from the model: it must not choose the folder.
    const file = join(options.outputDir, `${name.replace(/[/\\:]/g, "_")}.npy`);
    await writeFile(file, encodeNpy(value));
    written.push({ ...about, file });
  }
  const timings = { load_ms: rounded(loadMs), run_ms: rounded(runMs) };
  if (options.json) {
    printJson(io, { outputs: written, device: session.device, timings });
    return;
  }
  for (const { name, dtype, shape, file } of written) {
    io.out(`${name}: ${dtype} [${shape.join(", ")}]${file === undefined ? "" : ` -> ${file}`}\n`);
  }
}

const rounded = (milliseconds: number): number => Math.round(milliseconds * 100) / 100;
