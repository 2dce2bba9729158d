import { describe, expect, it } from "vitest";
import { nodeGpu } from "../../src/node/gpu.ts";
import { type GenerateOptions, open, type Session } from "../../src/runtime/index.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { bigramPlan, bigramProgram, bigramTable, candidateCount, maxSeqLen } from "../cli/bigram-program.ts";

const vocabSize = 70;
const table = bigramTable(vocabSize);
const planned = await bigramProgram(vocabSize, {}, table, bigramPlan(vocabSize));
const rowsOf = (ids: readonly number[]) =>
  ids.flatMap((id) => [...table.subarray(id * vocabSize, (id + 1) * vocabSize)]);

async function logitsOf(session: Session, ids: readonly number[]): Promise<number[]> {
  const start = tensor("i64", [1], [0]);
  const { logits } = await session.run({ tokens: tensor("i64", [1, ids.length], ids), start_pos: start });
  return [...logits!.data];
}

const next = (id: number) => (3 * id + 5) % vocabSize;

async function tokensOf(session: Session, ids: readonly number[], options?: GenerateOptions) {
  const made: number[] = [];
  for await (const { id } of session.generate({ ids }, options)) made.push(id);
  return made;
}

describe("a program with a plan, on WebGPU", () => {
  it("runs there, a long call in parts", async () => {
    await using session = await open(planned, { device: "webgpu", gpu: nodeGpu });
    expect(session.device).toMatch(/^webgpu \(.+\)$/);
    expect(session.info.deviceNote).toBeUndefined();
    const ids = Array.from({ length: maxSeqLen - 1 }, (_, i) => 4 * i);
    expect(await logitsOf(session, ids)).toEqual(rowsOf(ids));
  });

  it("chooses the same tokens as the CPU does", async () => {
    await using gpu = await open(planned, { device: "webgpu", gpu: nodeGpu });
    await using cpu = await open(planned, { device: "cpu" });
    const ids = Array.from({ length: 10 }, (_, i) => 7 * i);
    for (const options of [
      {},
      { maxNewTokens: 3 },
      { temperature: 1.5, topK: candidateCount, topP: 0.9, seed: 3 },
      { temperature: 3, seed: 4 },
    ]) {
      const [onCpu, onGpu] = await Promise.all([cpu, gpu].map((each) => tokensOf(each, ids, options)));
      expect(onGpu).toEqual(onCpu);
      expect(gpu.kv.length).toBe(cpu.kv.length);
    }
    expect(await tokensOf(gpu, ids)).toHaveLength(maxSeqLen + 1 - ids.length);
  });

  it("stops at once when it is told to, and goes on with another text", async () => {
    await using session = await open(planned, { device: "webgpu", gpu: nodeGpu });
    const controller = new AbortController();
    const made: number[] = [];
    const work = async () => {
      for await (const { id } of session.generate({ ids: [2] }, { signal: controller.signal })) {
        made.push(id);
        if (made.length === 4) controller.abort(new Error("enough"));
      }
    };
    await expect(work()).rejects.toThrow("enough");
    expect(made).toHaveLength(4);
    expect(session.kv.length).toBe(4);
    expect(await tokensOf(session, [2, made[0]!, 9], { maxNewTokens: 2 })).toEqual([next(9), next(next(9))]);
    for await (const _ of session.generate({ ids: [2] })) break;
  });

  it("leaves a device that it was given to its owner", async () => {
    const adapter = await (await nodeGpu()).requestAdapter();
    const device = await adapter!.requestDevice();
    for (let time = 0; time < 2; time++) {
      await using session = await open(planned, { device });
      expect(await logitsOf(session, [5])).toEqual(rowsOf([5]));
    }
    device.pushErrorScope("validation");
    device.createBuffer({ size: 16, usage: 8 }).destroy();
    expect(await device.popErrorScope()).toBeNull();
    device.destroy();
  });

  it("is freed with its session", async () => {
    const session = await open(planned, { device: "webgpu", gpu: nodeGpu });
    await session[Symbol.asyncDispose]();
    await expect(logitsOf(session, [5])).rejects.toMatchObject({ code: "session-disposed" });
  });
});
