import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeGpu } from "../../src/node/gpu.ts";
import { findAdapter, requestDevice } from "../../src/runtime/webgpu/device.ts";
import { createWebGpuExecutor, type WebGpuExecutor } from "../../src/runtime/webgpu/executor.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import {
  capacity,
  continuation,
  languageGraph,
  languagePlan,
  longestCall,
  poison,
  sampledRoom,
  tokenAfter,
} from "./toy-plans.ts";

let executor: WebGpuExecutor;
let device: GPUDevice;
beforeAll(async () => {
  const gpu = await nodeGpu();
  const plan = languagePlan();
  const chosen = await requestDevice(gpu, (await findAdapter(gpu))!, plan, true);
  device = chosen.device;
  const nothing = { blobs: new Map(), async *chunks() {} };
  executor = await createWebGpuExecutor(languageGraph, plan, chosen, nothing);
});
afterAll(() => executor.dispose());

const inputs = (ids: readonly number[], start = 0) => ({
  tokens: tensor("i64", [1, ids.length], ids),
  start_pos: tensor("i64", [1], [start]),
});

async function taken(tokens: AsyncIterable<number>, count = Number.POSITIVE_INFINITY): Promise<number[]> {
  const all: number[] = [];
  for await (const token of tokens) {
    all.push(token);
    if (all.length === count) break;
  }
  return all;
}

const prompt = [5, 1, 17, 2];

test("the longest call is that of the longest schedule", async () => {
  expect(executor.maxCallSize).toBe(longestCall);
  await expect(executor.run(inputs([1, 2, 3, 4, 5, 6, 7]))).rejects.toThrow("1 to 6 tokens");
});

test("greedy tokens are the likeliest ones, as many as are asked for", async () => {
  for (const limit of [0, 1, 2, 5, 30]) {
    const tokens = await taken(executor.sampling!.greedy(inputs(prompt), limit));
    expect(tokens).toEqual(continuation(prompt, limit));
  }
});

test("a greedy run goes on from what the cache holds", async () => {
  await executor.run(inputs([9, 8, 7]));
  const tokens = await taken(executor.sampling!.greedy(inputs([6, 5], 3), 20));
  expect(tokens).toEqual(continuation([9, 8, 7, 6, 5], 20));
});

test("a greedy run that is stopped leaves rows that later calls overwrite", async () => {
  const first = await taken(executor.sampling!.greedy(inputs(prompt), 30), 9);
  expect(first).toEqual(continuation(prompt, 9));
  const held = [...prompt, ...first];
  const { logits } = await executor.run(inputs([3], held.length));
  expect(logits!.data.indexOf(10)).toBe(tokenAfter([...held, 3]));
});

test("a greedy run ends where the cache does", async () => {
  const tokens = await taken(executor.sampling!.greedy(inputs(prompt), 1000));
  expect(capacity).toBeGreaterThan(sampledRoom);
  expect(tokens).toEqual(continuation(prompt, capacity - prompt.length + 1));
});

test("logits that are no numbers are an error, not a token", async () => {
  const ids = [1, 2, poison];
  await expect(taken(executor.sampling!.greedy(inputs(ids), 5))).rejects.toThrow("no number");
  await expect(executor.sampling!.candidates(inputs(ids))).rejects.toThrow("no number");
});

test("the likeliest tokens come with their logits", async () => {
  expect(executor.sampling!.maxCandidates).toBe(2);
  const { ids, logits } = await executor.sampling!.candidates(inputs(prompt));
  expect([...ids]).toEqual([tokenAfter(prompt), 0]);
  expect([...logits]).toEqual([10, -0]);
});

test("tokens and positions that there is no room for are refused", async () => {
  await expect(executor.run(inputs([1, 29]))).rejects.toThrow("has 29, but must be below 29");
  await expect(executor.run(inputs([1, 2], capacity - 1))).rejects.toThrow("40 positions");
  await expect(taken(executor.sampling!.greedy(inputs([-1]), 3))).rejects.toThrow("program-input");
});

test("greedy runs can be profiled", async () => {
  executor.profile(true);
  await taken(executor.sampling!.greedy(inputs(prompt), 6));
  executor.profile(false);
  executor.profile(true);
  expect(executor.takeProfile()).toEqual([]);
  expect(await taken(executor.sampling!.greedy(inputs(prompt), 6))).toEqual(continuation(prompt, 6));
  const count = (name: string) =>
    executor
      .takeProfile()
      .filter(({ kernel }) => kernel === name)
      .reduce((sum, entry) => sum + entry.count, 0);
  expect(count("argmax")).toBe(6);
  executor.profile(false);
});

test("a device that is lost ends a greedy run with an error", async () => {
  const run = executor.sampling!.greedy(inputs(prompt), 30);
  expect((await run.next()).value).toBe(tokenAfter(prompt));
  device.destroy();
  await expect(taken(run)).rejects.toThrow("device-lost");
  await expect(taken(executor.sampling!.greedy(inputs(prompt), 3))).rejects.toThrow("device-lost");
});
