import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { buildExample } from "../../scripts/examples/build.ts";
import { compile, memorySink, phases } from "../../src/index.ts";
import { openInput } from "../../src/node.ts";
import type { OptionsInput } from "../../src/options.ts";
import { unpacked } from "../support/archive.ts";
import { launchBrowser, type TestBrowser } from "../support/browser.ts";
import { readReference } from "../support/reference.ts";
import { type StaticServer, serveFolders } from "../support/static-server.ts";
import { referenceText, SessionPage } from "./session-page.ts";

const bard = unpacked("bard.tar.br");
const romeo = readReference(bard).offline.prompts[0]!;
const scratch = mkdtempSync(join(tmpdir(), "bitnetc-compile-in-browser-"));

let browser: TestBrowser;
let server: StaticServer;
let example: SessionPage;

beforeAll(async () => {
  await buildExample("examples/compile-in-browser", join(scratch, "site"));
  server = await serveFolders({ site: join(scratch, "site") });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  rmSync(scratch, { recursive: true, force: true });
});

beforeEach(async () => {
  example = new SessionPage(await browser.page());
  await example.page.goto(`${server.address}/site/`);
});

afterEach(async () => {
  await example.page.close();
  expect(browser.faults.splice(0)).toEqual([]);
});

const choose = (label: "Choose files" | "Choose a folder", ...paths: string[]): Promise<void> =>
  example.page.getByLabel(label).setInputFiles(paths);

/** Clicks Compile; gives the program that is then offered. */
async function compiled(): Promise<Buffer> {
  await example.page.getByRole("button", { name: "Compile" }).click();
  const link = example.page.getByRole("link", { name: /^Download / });
  await link.or(example.problem).first().waitFor();
  expect(await example.problem.allInnerTexts()).toEqual([]);
  const [download] = await Promise.all([example.page.waitForEvent("download"), link.click()]);
  return readFileSync(await download.path());
}

/** The same program, compiled in Node. */
async function compiledHere(path: string, options: OptionsInput = {}): Promise<Buffer> {
  const sink = memorySink();
  await compile(await openInput(`${bard}/${path}`), sink, options);
  return Buffer.from(sink.bytes());
}

/** Not by `toEqual`, which would print megabytes. */
const areEqual = (a: Buffer, b: Buffer): boolean => a.equals(b);

async function run(device: "cpu" | "webgpu"): Promise<void> {
  await example.page.getByLabel("Run on").selectOption(device);
  await example.page.getByRole("button", { name: "Run it" }).click();
  await example.opened();
  await example.sampleGreedily(64);
}

test("an ONNX model compiles to the bytes that Node writes, and its tokens are those of transformers", async () => {
  const progress = await example.watchProgress();
  await choose("Choose files", `${bard}/onnx/dynamo-kv.onnx`);
  const program = await compiled();
  const said = (await progress()).join("\n");
  for (const phase of phases) expect(said).toMatch(`Done: ${phase}.`);
  expect(said).toMatch(/Writing [\d.]+ \w?B of [\d.]+ MB/);
  expect(areEqual(program, await compiledHere("onnx/dynamo-kv.onnx"))).toBe(true);
  const report = await example.page.locator("#report").innerText();
  expect(report).toMatch(/Bits per ternary weight\s+2\.06/);
  await example.page.getByText("Fused", { exact: true }).click();
  expect(await example.page.locator(".rules").innerText()).toMatch(/\d+ times/);
  await run("cpu");
  // An ONNX file has no tokenizer in it.
  expect(await example.continue(romeo.ids.join(", "))).toBe(romeo.greedy.join(" "));
});

test("a checkpoint's folder that is dropped does too, and its text is written on the GPU", async () => {
  const { prompt, text } = referenceText(bard, "offline.p0");
  await example.drop(`${bard}/hf-packed`);
  await example.page.getByText("checkpoint hf-packed: 5 files").waitFor();
  const program = await compiled();
  expect(areEqual(program, await compiledHere("hf-packed"))).toBe(true);
  await run("webgpu");
  expect(await example.continue(prompt)).toBe(text);
});

test("a folder can be picked, and options chosen", async () => {
  await choose("Choose a folder", `${bard}/hf-packed`);
  await example.page.getByLabel("Ternary weights").selectOption("tq1_0");
  await example.page.getByLabel("Embedding and head").selectOption("q8");
  await example.page.getByLabel("Positions").fill("96");
  await example.page.getByLabel("Logits").selectOption("all");
  const options = { weights: "tq1_0", embedding: "q8", maxSeqLen: 96, logits: "all" } as const;
  expect(areEqual(await compiled(), await compiledHere("hf-packed", options))).toBe(true);
});

test("a model whose weights are in a file beside it takes both, and a tokenizer", async () => {
  const folder = join(scratch, "external");
  for (const name of ["dynamo-external-kv.onnx", "dynamo-external-kv.onnx.data"])
    cpSync(`${bard}/onnx/${name}`, join(folder, name));
  cpSync(`${bard}/hf-packed/tokenizer.json`, join(folder, "tokenizer.json"));
  await choose(
    "Choose files",
    join(folder, "dynamo-external-kv.onnx"),
    join(folder, "dynamo-external-kv.onnx.data"),
    join(folder, "tokenizer.json"),
  );
  const sink = memorySink();
  await compile(await openInput(join(folder, "dynamo-external-kv.onnx")), sink);
  expect(areEqual(await compiled(), Buffer.from(sink.bytes()))).toBe(true);
  const { prompt, text } = referenceText(bard, "offline.p0");
  await run("cpu");
  expect(await example.continue(prompt)).toBe(text);
});

test("of several models one is chosen", async () => {
  await choose("Choose a folder", `${bard}/onnx`);
  await example.page.getByLabel("Model").selectOption("onnx/torchscript-kv.onnx");
  expect(areEqual(await compiled(), await compiledHere("onnx/torchscript-kv.onnx"))).toBe(true);
});

test("what cannot be compiled is said with its code, and another model can follow", async () => {
  await choose("Choose files", `${bard}/hf-packed/tokenizer.json`);
  expect(await example.problem.innerText()).toMatch(/no-model/);
  expect(await example.page.getByRole("button", { name: "Compile" }).isDisabled()).toBe(true);

  await choose("Choose files", `${bard}/onnx/dynamo-external-kv.onnx`);
  await example.page.getByRole("button", { name: "Compile" }).click();
  await example.problem.waitFor();
  expect(await example.problem.innerText()).toMatch(/onnx-external-missing/);

  await choose("Choose files", `${bard}/onnx/dynamo-kv.onnx`);
  expect(areEqual(await compiled(), await compiledHere("onnx/dynamo-kv.onnx"))).toBe(true);
});
