import { describe, expect, it } from "vitest";
import { createCpuExecutor } from "../../src/runtime/cpu/executor.ts";
import type { Session } from "../../src/runtime/session.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { fakeSession, greedy } from "./fake-model.ts";

const prompt = [3, 1, 4, 1, 5];

async function idsOf(session: Session, ids: readonly number[], maxNewTokens: number): Promise<number[]> {
  const made: number[] = [];
  for await (const { id } of session.generate({ ids }, { maxNewTokens })) made.push(id);
  return made;
}

async function snapshotOf(ids: readonly number[]): Promise<Blob> {
  const { session } = fakeSession();
  await idsOf(session, ids, 1);
  return session.kv.save();
}

describe("kv.save and kv.restore", () => {
  it("goes on in another session without computing again what was computed", async () => {
    const snapshot = await snapshotOf(prompt);
    const { session, calls } = fakeSession({ sampling: { batch: 3, maxCandidates: 2 } });
    await idsOf(session, [9, 9, 9, 9, 9, 9, 9], 2);
    calls.length = 0;
    await session.kv.restore(snapshot);
    expect(session.kv.length).toBe(5);
    expect(await idsOf(session, [...prompt, 7], 4)).toEqual(greedy([...prompt, 7], 4));
    expect(calls).toEqual([{ ids: [7], start: 5 }]);
  });

  it("saves what is there in the middle of a text", async () => {
    const { session } = fakeSession({ sampling: { batch: 3, maxCandidates: 2 } });
    const other = fakeSession();
    const made: number[] = [];
    for await (const { id } of session.generate({ ids: prompt }, { maxNewTokens: 6 })) {
      made.push(id);
      if (made.length === 2) await other.session.kv.restore(await session.kv.save());
    }
    expect(made).toEqual(greedy(prompt, 6));
    expect(other.session.kv.length).toBe(6);
    const next = [...prompt, ...made];
    expect(await idsOf(other.session, next, 3)).toEqual(greedy(next, 3));
    expect(other.calls[0]!.start).toBe(6);
  });

  it("saves and restores an empty cache", async () => {
    const snapshot = await fakeSession().session.kv.save();
    const { session } = fakeSession();
    await idsOf(session, prompt, 2);
    await session.kv.restore(snapshot);
    expect(session.kv.length).toBe(0);
    expect(await idsOf(session, prompt, 2)).toEqual(greedy(prompt, 2));
  });

  it("refuses what is no snapshot, cut short, or of another program, and stays as it was", async () => {
    const { session } = fakeSession();
    await idsOf(session, prompt, 1);
    const whole = await snapshotOf([1, 2]);
    const other = await fakeSession({ facts: { identity: "4567" } }).session.kv.save();
    const text = (content: string) => new Blob([content]);
    for (const [blob, why] of [
      [text(""), "it is none"],
      [text("something else"), "it is none"],
      [text("bitnetkv\x05\0\0\0[1,2]"), "its header cannot be read"],
      [text("bitnetkv\xff\xff\xff\xff{}"), "its header cannot be read"],
      [whole.slice(0, whole.size - 1), /has \d+ bytes and should have \d+/],
      [new Blob([whole, "!"]), /has \d+ bytes and should have \d+/],
      [other, "another program made it"],
    ] as const) {
      await expect(session.kv.restore(blob)).rejects.toMatchObject({ code: "kv-snapshot" });
      await expect(session.kv.restore(blob)).rejects.toThrow(why);
    }
    expect(session.kv.length).toBe(5);
    const long = await fakeSession({ maxSeqLen: 64 });
    await idsOf(long.session, new Array(40).fill(1), 1);
    await expect(session.kv.restore(await long.session.kv.save())).rejects.toThrow(/room for 32/);
  });

  it("refuses programs without a cache", async () => {
    const { session } = fakeSession({ cache: false });
    await expect(session.kv.save()).rejects.toMatchObject({ code: "kv-none" });
    await expect(session.kv.restore(new Blob())).rejects.toMatchObject({ code: "kv-none" });
  });
});

describe("the CPU executor's states", () => {
  it("are read and written by rows of each head", async () => {
    const executor = await createCpuExecutor(
      {
        values: [{ dtype: "f32", shape: [1, 2, 3, 2] }],
        inputs: [],
        outputs: [],
        states: [{ name: "keys", value: 0 }],
        constants: [],
        dims: [],
        nodes: [],
      },
      { loadConstant: () => Promise.reject(new Error("there is none")) },
    );
    const rows = tensor("f32", [1, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
    executor.writeState("keys", rows);
    expect([...executor.states.get("keys")!.data]).toEqual([1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 0]);
    expect(executor.readState("keys", 2)).toEqual(rows);
    expect(executor.readState("keys", 1)).toEqual(tensor("f32", [1, 2, 1, 2], [1, 2, 5, 6]));
    executor.reset();
    expect(executor.readState("keys", 1)).toEqual(tensor("f32", [1, 2, 1, 2]));
  });
});
