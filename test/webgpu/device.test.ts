import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bigramPlan, bigramProgram, bigramTable } from "../cli/bigram-program.ts";
import { runCli, temporaryFolder } from "../cli/run-cli.ts";

const folder = temporaryFolder();
const planned = folder.file("planned.pte");
const plain = folder.file("plain.pte");
const ids = folder.file("ids.json");
const vocabSize = 40;

beforeAll(async () => {
  writeFileSync(planned, await bigramProgram(vocabSize, {}, bigramTable(vocabSize), bigramPlan(vocabSize)));
  writeFileSync(plain, await bigramProgram(vocabSize));
  writeFileSync(ids, JSON.stringify(Array.from({ length: 30 }, (_, i) => (i * i) % vocabSize)));
});
afterAll(() => folder.remove());

const json = async (...args: string[]) => {
  const { code, out, err } = await runCli(...args, "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out);
};

describe("--device", () => {
  it("runs a program where it is told to, and says where", async () => {
    const args = ["run", planned, "--input-ids", "3,4,5", "--max-new-tokens", "5"];
    const cpu = await json(...args, "--device", "cpu");
    const gpu = await json(...args, "--device", "webgpu");
    expect(cpu.device).toBe("cpu");
    expect(gpu.device).toMatch(/^webgpu \(/);
    expect(gpu.output_ids).toEqual(cpu.output_ids);
  });

  it("measures perplexity there", async () => {
    const args = ["eval", planned, "--ids", ids, "--window", "14"];
    const cpu = await json(...args, "--device", "cpu");
    expect(await json(...args, "--device", "webgpu")).toEqual(cpu);
  });

  it("says with --verbose why a program does not run on a GPU", async () => {
    const args = ["run", plain, "--input-ids", "3", "--max-new-tokens", "2"];
    const { code, err } = await runCli(...args, "--verbose");
    expect(code).toBe(0);
    expect(err).toMatch(/^device: cpu\n.*`bitnetc explain`/);
    expect((await runCli(...args)).err).toBe("");
    expect((await runCli(...args, "--verbose", "--device", "cpu")).err).toMatch(/^device: cpu\n1 tokens/);
  });

  it("refuses a program that cannot run there", async () => {
    const { code, out } = await runCli("run", plain, "--input-ids", "3", "--device", "webgpu", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(out).errors[0].code).toBe("device-unavailable");
  });
});
