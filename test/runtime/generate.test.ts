import { describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../src/runtime/generate.ts";
import type { Session } from "../../src/runtime/session.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { type FakeOptions, fakeSession, greedy, logitsAfter } from "./fake-model.ts";

const prompt = [3, 1, 4, 1, 5];

async function idsOf(session: Session, ids: readonly number[], options?: GenerateOptions): Promise<number[]> {
  const made: number[] = [];
  for await (const { id } of session.generate({ ids }, options)) made.push(id);
  return made;
}

const withDevice = (options: FakeOptions = {}) =>
  fakeSession({ sampling: { batch: 4, maxCandidates: 6 }, ...options });

describe("a device that chooses tokens", () => {
  it("continues a prompt greedily in one loop", async () => {
    const { session, calls, device } = withDevice();
    expect(await idsOf(session, prompt, { maxNewTokens: 10 })).toEqual(greedy(prompt, 10));
    expect(calls).toEqual([{ ids: prompt, start: 0 }]);
    // the last token is not fed
    expect(session.kv.length).toBe(prompt.length + 9);
    await session[Symbol.asyncDispose]();
    expect(device).toMatchObject({ loops: 0, isDisposed: 1 });
  });

  it("is given a long prompt in calls that it takes", async () => {
    const { session, calls } = withDevice({ maxCallSize: 2 });
    expect(await idsOf(session, prompt, { maxNewTokens: 6 })).toEqual(greedy(prompt, 6));
    expect(calls.map(({ ids, start }) => [ids.length, start])).toEqual([
      [2, 0],
      [2, 2],
      [1, 4],
    ]);
  });

  it("does not run past the program's end", async () => {
    const { session, device } = withDevice({ maxSeqLen: 8 });
    expect(await idsOf(session, prompt)).toEqual(greedy(prompt, 4));
    expect(device.memory.slice(0, 8)).toEqual([...prompt, ...greedy(prompt, 3)]);
    // the fake notes the token that it chose last, but no call took it
    expect(device.memory.length).toBe(9);
  });

  it("counts only tokens that are sure to be in the cache when the caller stops early", async () => {
    const { session, device, calls } = withDevice();
    const expected = greedy(prompt, 12);
    const made: number[] = [];
    for await (const { id } of session.generate({ ids: prompt })) {
      made.push(id);
      if (made.length === 2) break;
    }
    expect(made).toEqual(expected.slice(0, 2));
    expect(session.kv.length).toBe(prompt.length + 1);
    expect(device.memory.length).toBeGreaterThan(session.kv.length);
    calls.length = 0;
    const other = [...prompt, expected[0]!, 9, 9];
    expect(await idsOf(session, other, { maxNewTokens: 3 })).toEqual(greedy(other, 3));
    expect(calls).toEqual([{ ids: [9, 9], start: prompt.length + 1 }]);
    expect(device.loops).toBe(0);
  });

  it("stops after a stop token", async () => {
    const expected = greedy(prompt, 20);
    const stop = expected[4]!;
    const { session } = withDevice();
    const made = await idsOf(session, prompt, { stopIds: [stop] });
    expect(made).toEqual(expected.slice(0, expected.indexOf(stop) + 1));
    expect(session.kv.length).toBe(prompt.length + made.length - 1);
  });

  it("keeps several users apart", async () => {
    const { session } = withDevice();
    const other = [2, 2];
    const tokens = tensor("i64", [1, 2], [7, 7]);
    const [first, second, { logits }, sampled] = await Promise.all([
      idsOf(session, prompt, { maxNewTokens: 8 }),
      idsOf(session, other, { maxNewTokens: 8 }),
      session.run({ tokens, start_pos: tensor("i64", [1], [0]) }),
      idsOf(session, other, { maxNewTokens: 5, temperature: 1, topK: 3, seed: 1 }),
    ]);
    expect(first).toEqual(greedy(prompt, 8));
    expect(second).toEqual(greedy(other, 8));
    expect([...logits!.data]).toEqual([...logitsAfter([7, 7])]);
    expect(sampled).toEqual(
      await idsOf(fakeSession().session, other, { maxNewTokens: 5, temperature: 1, topK: 3, seed: 1 }),
    );
  });

  it("computes again what is forgotten while it works", async () => {
    const { session } = withDevice();
    const made: number[] = [];
    for await (const { id } of session.generate({ ids: prompt }, { maxNewTokens: 9 })) {
      made.push(id);
      if (made.length === 3) session.kv.truncate(2);
      if (made.length === 6) session.kv.reset();
    }
    expect(made).toEqual(greedy(prompt, 9));
    expect(session.kv.length).toBe(prompt.length + 8);
  });

  it("throws the signal's reason at once, and goes on afterwards", async () => {
    let resume = () => {};
    const waits = new Promise<void>((resolve) => {
      resume = resolve;
    });
    let slow = false;
    const { session, device } = withDevice({
      sampling: { batch: 1, maxCandidates: 6 },
      onCall: () => (slow ? waits : Promise.resolve()),
    });
    const controller = new AbortController();
    const made: number[] = [];
    const work = async () => {
      for await (const { id } of session.generate({ ids: prompt }, { signal: controller.signal })) {
        made.push(id);
        if (made.length < 3) continue;
        slow = true;
        setTimeout(() => controller.abort(new Error("enough")), 5);
      }
    };
    // the device is in the middle of a token, and stays there
    await expect(work()).rejects.toThrow("enough");
    expect(made).toEqual(greedy(prompt, 3));
    expect(device.loops).toBe(1);
    slow = false;
    resume();
    expect(await idsOf(session, prompt, { maxNewTokens: 4 })).toEqual(greedy(prompt, 4));
    const aborted = idsOf(session, prompt, { signal: AbortSignal.abort(new Error("before")) });
    await expect(aborted).rejects.toThrow("before");
  });

  it("hands on what the device says is wrong, and can be used again", async () => {
    let fails = 2;
    const { session } = withDevice({
      onCall: async () => {
        if (--fails === 0) throw new Error("out of order");
      },
    });
    await expect(idsOf(session, prompt)).rejects.toThrow("out of order");
    expect(await idsOf(session, prompt, { maxNewTokens: 5 })).toEqual(greedy(prompt, 5));
  });

  it("samples among candidates as among all tokens", async () => {
    for (const topK of [1, 3, 6, 7]) {
      for (const options of [
        { temperature: 0.7, topK, seed: 3 },
        { temperature: 2, topK, topP: 0.8, seed: 4 },
      ]) {
        const whole = await idsOf(fakeSession().session, prompt, { maxNewTokens: 20, ...options });
        const { session } = withDevice();
        expect(await idsOf(session, prompt, { maxNewTokens: 20, ...options })).toEqual(whole);
      }
    }
  });

  it("takes the likeliest candidate where a program has no cache", async () => {
    const { session, device } = withDevice({ cache: false });
    expect(await idsOf(session, prompt, { maxNewTokens: 6 })).toEqual(greedy(prompt, 6));
    expect(device.loops).toBe(0);
  });
});

describe.each(["last", "all"] as const)("calls that an executor cannot take at once, %s logits", (logits) => {
  const run = (session: Session, ids: readonly number[], start: number) =>
    session.run({ tokens: tensor("i64", [1, ids.length], ids), start_pos: tensor("i64", [1], [start]) });

  it("are cut, and their logits joined", async () => {
    const { session, calls } = fakeSession({ logits, maxCallSize: 2 });
    const whole = await run(fakeSession({ logits }).session, prompt, 0);
    const result = await run(session, prompt, 0);
    expect(result).toEqual(whole);
    expect(calls.map(({ ids }) => ids.length)).toEqual([2, 2, 1]);
    expect(session.kv.length).toBe(5);
    const next = await run(session, [9, 9, 9], 4);
    expect(next.logits!.shape).toEqual(logits === "all" ? [1, 3, 11] : [1, 11]);
    expect([...next.logits!.data.slice(-11)]).toEqual([...logitsAfter([3, 1, 4, 1, 9, 9, 9])]);
  });

  it("are refused whole when they do not fit the program", async () => {
    const { session, calls } = fakeSession({ logits, maxCallSize: 2, maxSeqLen: 4 });
    await expect(run(session, prompt, 0)).rejects.toThrow(/program-input.*size 5/);
    await expect(run(session, [1, 2, 3], 1)).rejects.toThrow(/cache-gap/);
    expect(calls).toEqual([]);
  });

  it("give logits only where they are needed", async () => {
    const { session, device, calls } = fakeSession({ logits, maxCallSize: 2 });
    expect(await idsOf(session, prompt, { maxNewTokens: 2 })).toEqual(greedy(prompt, 2));
    expect([calls.length, device.reads]).toEqual([4, 2]);
  });

  it("give every position's logits", async () => {
    const { session } = fakeSession({ logits, maxCallSize: 2 });
    const rows: number[][] = [];
    for await (const row of session.logits(prompt)) rows.push([...row]);
    expect(rows).toEqual(prompt.map((_, i) => [...logitsAfter(prompt.slice(0, i + 1))]));
  });
});

it("refuses a prompt that an executor cannot take at once and that cannot be cut", async () => {
  const { session } = fakeSession({ cache: false, maxCallSize: 3 });
  await expect(idsOf(session, prompt)).rejects.toThrow(/prompt-too-long.*room for 3/);
});
