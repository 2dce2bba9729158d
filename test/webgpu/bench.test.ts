import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openProgram } from "../../src/node.ts";
import { bigramPlan, bigramProgram, bigramTable } from "../cli/bigram-program.ts";
import { runCli, temporaryFolder } from "../cli/run-cli.ts";

const folder = temporaryFolder();
const program = folder.file("bigram.pte");
const vocabSize = 40;
beforeAll(async () =>
  writeFileSync(program, await bigramProgram(vocabSize, {}, bigramTable(vocabSize), bigramPlan(vocabSize))),
);
afterAll(() => folder.remove());

const sizes = ["--prompt-tokens", "5", "--new-tokens", "7"];
const json = async (...args: string[]) => {
  const { code, out, err } = await runCli(...args, "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out);
};

describe("bench", () => {
  it("measures prefill and decode", async () => {
    const result = await json("bench", program, ...sizes, "--runs", "4", "--device", "cpu");
    expect(result).toMatchObject({
      program: "bigram.pte",
      device: "cpu",
      prompt_tokens: 5,
      new_tokens: 7,
      runs: 4,
    });
    for (const { median, min, max } of [
      ...Object.values(result.prefill),
      ...Object.values(result.decode),
    ] as {
      median: number;
      min: number;
      max: number;
    }[]) {
      expect(min).toBeGreaterThan(0);
      expect(min).toBeLessThanOrEqual(median);
      expect(median).toBeLessThanOrEqual(max);
    }
    const { ms_per_token: each, tokens_per_second: speed } = result.decode;
    expect(each.min * speed.max).toBeCloseTo(1000);
    expect(result).not.toHaveProperty("dispatches_per_token");
  });

  it("says it to people", async () => {
    const { code, out } = await runCli("bench", program, ...sizes, "--device", "webgpu");
    expect(code).toBe(0);
    expect(out).toMatch(/^bigram\.pte on webgpu \(.*\), median of 3 /);
    expect(out).toMatch(/\nprefill {2}5 tokens: .* tokens\/s/);
    expect(out).toMatch(/\ndecode {3}7 tokens: .* tokens\/s, .* ms each, 2 dispatches\n$/);
  });

  it("refuses what the program has no room for", async () => {
    const { code, out } = await runCli("bench", program, "--json");
    expect(code).toBe(1);
    expect(JSON.parse(out).errors[0].code).toBe("bench-capacity");
  });
});

describe("--profile", () => {
  it("says where the time of prefill and decode goes", async () => {
    const args = ["bench", program, ...sizes, "--runs", "1", "--profile", "--device", "webgpu"];
    const { dispatches_per_token, profile } = await json(...args);
    expect(dispatches_per_token).toBe(2);
    expect(profile.bandwidth_gb_per_second).toBeGreaterThan(0);
    expect(profile.prefill).toMatchObject({ tokens: 5, dispatches: 2 });
    expect(profile.decode).toMatchObject({ tokens: 7, dispatches: 14 });
    for (const part of [profile.prefill, profile.decode]) {
      expect(part.classes).toMatchObject([{ name: "movement", dispatches: part.dispatches }]);
      expect(part.kernels).toHaveLength(2);
      for (const kernel of part.kernels)
        expect(kernel).toMatchObject({ class: "movement", places: [{ name: "test:bigram" }] });
      const sum = (of: string) =>
        part.kernels.reduce((total: number, kernel: never) => total + kernel[of], 0);
      expect(sum("share")).toBeCloseTo(1);
      expect(sum("gpu_ms")).toBeCloseTo(part.gpu_ms);
      expect(sum("bytes")).toBe(part.bytes);
      expect(part.bytes).toBeGreaterThan(0);
    }
  });

  it("says it to people, of a run on stderr", async () => {
    const bench = await runCli("bench", program, ...sizes, "--profile", "--device", "webgpu");
    expect(bench.out).toMatch(/\n\nprefill of 5 tokens: .*\n {2,}share/);
    expect(bench.out).toMatch(/\n\na token of decode: .* 2 dispatches, .*\n {2,}share/);
    const args = ["run", program, "--input-ids", "3,4", "--max-new-tokens", "4", "--device", "webgpu"];
    const plain = await runCli(...args);
    const profiled = await runCli(...args, "--profile");
    expect(profiled.out).toBe(plain.out);
    expect(profiled.err).toMatch(/^the whole run: .* 8 dispatches/);
  });

  it("is refused on the CPU", async () => {
    const args = ["run", program, "--input-ids", "3", "--device", "cpu", "--profile", "--json"];
    const { code, out } = await runCli(...args);
    expect(code).toBe(1);
    expect(JSON.parse(out).errors[0].code).toBe("no-timestamps");
  });

  it("ends with what was measured, however that ended", async () => {
    await using session = await openProgram(program, { device: "webgpu", profile: true });
    const generate = async () => {
      for await (const _ of session.generate({ ids: [3] }, { maxNewTokens: 3 }));
    };
    const failing = session.profile(async () => {
      await generate();
      throw new Error("stopped");
    });
    await expect(failing).rejects.toThrow("stopped");
    session.kv.truncate(0);
    const entries = await session.profile(generate);
    expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(6);
    await using unprepared = await openProgram(program, { device: "webgpu" });
    await expect(unprepared.profile(generate)).rejects.toMatchObject({ code: "no-timestamps" });
  });
});
