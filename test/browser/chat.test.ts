import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildExample } from "../../scripts/examples/build.ts";
import { compileFile, openProgram } from "../../src/node.ts";
import { unpacked } from "../support/archive.ts";
import { insecureHost, launchBrowser, type TestBrowser } from "../support/browser.ts";
import { type StaticServer, serveFolders } from "../support/static-server.ts";
import { patience, referenceText, SessionPage } from "./session-page.ts";

const bard = unpacked("bard.tar.br");
const romeo = referenceText(bard, "offline.p0");
const scratch = mkdtempSync(join(tmpdir(), "bitnetc-chat-"));
const program = join(scratch, "programs", "bard.pte");
/** Has room for more than is written before anyone can stop it. */
const long = join(scratch, "programs", "long.pte");
const template =
  "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:";

let browser: TestBrowser;
let server: StaticServer;
let chat: SessionPage;

beforeAll(async () => {
  cpSync(`${bard}/hf-packed`, join(scratch, "with-template"), { recursive: true });
  writeFileSync(join(scratch, "with-template", "chat_template.jinja"), template);
  mkdirSync(join(scratch, "programs"));
  await buildExample("examples/chat", join(scratch, "site"));
  await compileFile(`${bard}/hf-packed`, program, { maxSeqLen: 256 });
  await compileFile(`${bard}/hf-packed`, long, { maxSeqLen: 8192 });
  await compileFile(join(scratch, "with-template"), join(scratch, "programs", "talk.pte"));
  server = await serveFolders({ chat: join(scratch, "site"), programs: join(scratch, "programs") });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  rmSync(scratch, { recursive: true, force: true });
});

beforeEach(async () => {
  chat = new SessionPage(await browser.page());
  await chat.page.goto(`${server.address}/chat/`);
});

afterEach(async () => {
  await chat.page.close();
  expect(browser.faults.splice(0)).toEqual([]);
});

async function open(path: string, device: "auto" | "webgpu" | "cpu" = "auto"): Promise<void> {
  await chat.page.getByLabel("Run on").selectOption(device);
  await chat.page.getByLabel("choose a file").setInputFiles(path);
  await chat.opened();
}

describe("a text", () => {
  test.each(["cpu", "webgpu"] as const)("continues as transformers continues it, on %s", async (device) => {
    await open(program, device);
    expect(await chat.page.locator("#device").textContent()).toMatch(device);
    await chat.sampleGreedily(64);
    expect(await chat.continue(romeo.prompt)).toBe(romeo.text);
    expect(await chat.given.textContent()).toBe(romeo.prompt);
    // four tokens of prompt, and the 64 that were written
    expect(await chat.used()).toBe(68);
    const measures = await chat.page.locator(".measures").innerText();
    expect(measures).toMatch(/[1-9][\d.]* tokens\/s/);
    expect(measures).toMatch(/(ms|s) to the first/);
    expect(measures).toMatch(/64 written/);
    expect(measures).toMatch(/context 68 of 256/);
  });

  test("goes on from where it was", async () => {
    await open(program);
    await chat.sampleGreedily(24);
    const first = await chat.continue(romeo.prompt);
    await chat.sampleGreedily(40);
    const second = await chat.continue("");
    expect(first.length).toBeGreaterThan(0);
    expect(first + second).toBe(romeo.text);
  });

  test.each(["cpu", "webgpu"] as const)("can be stopped, and begun anew, on %s", async (device) => {
    await open(long, device);
    await chat.sampleGreedily(10_000);
    await chat.prompt.fill(romeo.prompt);
    await chat.prompt.press("Control+Enter");
    await expect.poll(async () => (await chat.written.textContent())?.length, patience).toBeGreaterThan(10);
    await chat.stop.click();
    const text = await chat.answer();
    expect(await chat.ending.textContent()).toBe("Stopped.");
    expect(romeo.text.startsWith(text) || text.startsWith(romeo.text)).toBe(true);
    expect(await chat.used()).toBeLessThan(8192);

    await chat.page.getByRole("button", { name: "New" }).click();
    expect(await chat.written.count()).toBe(0);
    expect(await chat.used()).toBe(0);
    await chat.prompt.fill(romeo.prompt);
    await chat.send.click();
    await expect.poll(async () => (await chat.written.textContent())?.length, patience).toBeGreaterThan(10);
    await chat.page.keyboard.press("Escape");
    expect(await chat.answer()).not.toBe("");
    expect(await chat.ending.textContent()).toBe("Stopped.");
  });

  test("ends where the context is full, and says so", async () => {
    await open(program);
    await chat.sampleGreedily(10_000);
    await chat.continue(romeo.prompt);
    expect(await chat.ending.textContent()).toBe("The context is full.");
    await chat.continue("more");
    expect(await chat.problem.innerText()).toMatch(/prompt-too-long/);
    expect(await chat.prompt.inputValue()).toBe("more");
  });

  test("equal seeds write equal texts", async () => {
    await open(program);
    const texts: string[] = [];
    for (const seed of ["7", "7", "8"]) {
      await chat.page.getByRole("button", { name: "New" }).click();
      await chat.page.getByLabel("Temperature").fill("1");
      await chat.page.getByLabel("Most tokens").fill("32");
      await chat.page.getByLabel("Seed").fill(seed);
      texts.push(await chat.continue(romeo.prompt));
    }
    expect(texts[0]).toBe(texts[1]);
    expect(texts[0]).not.toBe(texts[2]);
  });
});

test("a conversation goes through the model's chat template", async () => {
  await using session = await openProgram(join(scratch, "programs", "talk.pte"), { device: "cpu" });
  const messages = [{ role: "system", content: "Be brief." }];
  await open(join(scratch, "programs", "talk.pte"), "cpu");
  await chat.sampleGreedily(16);
  await chat.page.getByLabel("System prompt").fill("Be brief.");
  for (const [i, content] of ["Who is there?", "What news?"].entries()) {
    messages.push({ role: "user", content });
    let answer = "";
    for await (const { text } of session.generate(messages, { maxNewTokens: 16 })) answer += text;
    messages.push({ role: "assistant", content: answer });
    await chat.prompt.fill(content);
    await chat.prompt.press("Enter");
    await expect.poll(() => chat.written.count()).toBe(i + 1);
    expect(await chat.answer()).toBe(answer);
  }
});

test("where it runs is said, and why not on the GPU", async () => {
  await open(program);
  const device = await chat.page.locator("#device").textContent();
  expect(await chat.page.getByText(/^Runs on the CPU\. .+/).isVisible()).toBe(device === "cpu");
});

test("a page without WebGPU says so, and runs the program on the CPU", async () => {
  await chat.page.goto(`${server.address.replace("127.0.0.1", insecureHost)}/chat/`);
  await chat.page.getByLabel("Run on").selectOption("webgpu");
  await chat.page.getByLabel("choose a file").setInputFiles(program);
  await chat.problem.waitFor();
  expect(await chat.problem.innerText()).toMatch(/there is no WebGPU.*device-unavailable/s);
  await chat.page.getByRole("button", { name: "Run on the CPU instead" }).click();
  await chat.opened();
  await chat.sampleGreedily(64);
  expect(await chat.continue(romeo.prompt)).toBe(romeo.text);
});

describe("a program at an address", () => {
  const served = () => server.served.filter(({ path }) => path === "/programs/bard.pte");
  const size = () => readFileSync(program).length;
  const bytes = () => served().reduce((sum, { bytes }) => sum + bytes, 0);

  test("is read by ranges, kept, and loaded again once it is cleared", async () => {
    server.served.length = 0;
    const progress = await chat.watchProgress();
    await chat.page.getByLabel("Address of a program").fill(`${server.address}/programs/bard.pte`);
    await chat.page.getByRole("button", { name: "Open", exact: true }).click();
    await chat.opened();
    expect((await progress()).join("\n")).toMatch(/Loading weights: [\d.]+ MB of [\d.]+ MB/);
    expect(served().filter(({ range }) => range === undefined)).toEqual([]);
    expect(bytes()).toBeGreaterThan(size() * 0.9);
    await chat.sampleGreedily(64);
    expect(await chat.continue(romeo.prompt)).toBe(romeo.text);

    server.served.length = 0;
    await chat.page.goto(`${server.address}/chat/?program=../programs/bard.pte`);
    await chat.opened();
    expect(bytes()).toBeLessThan(size() * 0.2);
    await chat.sampleGreedily(64);
    expect(await chat.continue(romeo.prompt)).toBe(romeo.text);

    await chat.page.getByRole("button", { name: "Close" }).click();
    const clear = chat.page.getByRole("button", { name: "Clear" });
    await clear.click();
    await clear.waitFor({ state: "hidden" });
    server.served.length = 0;
    await chat.page.reload();
    await chat.opened();
    expect(bytes()).toBeGreaterThan(size() * 0.9);
  });

  test("that is not there is refused in a sentence", async () => {
    await chat.page.goto(`${server.address}/chat/?program=../programs/none.pte`);
    await chat.problem.waitFor();
    expect(await chat.problem.innerText()).toMatch(/404/);
  });
});

test("a file can be dropped", async () => {
  await chat.drop(program);
  await chat.opened();
  expect(await chat.page.locator("#name").textContent()).toBe("bard.pte");
});

describe("a file that is", () => {
  async function refusal(name: string, bytes: Uint8Array): Promise<string> {
    await chat.page
      .getByLabel("choose a file")
      .setInputFiles({ name, mimeType: "application/octet-stream", buffer: Buffer.from(bytes) });
    await chat.problem.waitFor();
    return chat.problem.innerText();
  }

  test("damaged is refused with its code, and another one can be opened", async () => {
    const damaged = readFileSync(program);
    damaged[Math.floor(damaged.length / 2)]! ^= 1;
    expect(await refusal("damaged.pte", damaged)).toMatch(/program-hash · damaged\.pte/);
    await open(program);
    await chat.sampleGreedily(64);
    expect(await chat.continue(romeo.prompt)).toBe(romeo.text);
  });

  test("cut off is refused", async () => {
    const bytes = readFileSync(program);
    expect(await refusal("half.pte", bytes.subarray(0, bytes.length / 2))).toMatch(/program-truncated/);
  });

  test("no program is refused", async () => {
    expect(await refusal("note.pte", Buffer.from("not a program"))).toMatch(/program/);
  });
});
