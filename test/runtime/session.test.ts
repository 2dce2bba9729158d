import { describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../src/runtime/generate.ts";
import type { Prompt, Session } from "../../src/runtime/session.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { fakeSession, greedy, logitsAfter } from "./fake-model.ts";

async function generated(session: Session, prompt: Prompt, options?: GenerateOptions) {
  const tokens = [];
  for await (const token of session.generate(prompt, options)) tokens.push(token);
  return { ids: tokens.map(({ id }) => id), finish: tokens.at(-1)?.finish };
}

async function rows(session: Session, ids: readonly number[]): Promise<number[][]> {
  const all = [];
  for await (const row of session.logits(ids)) all.push([...row]);
  return all;
}

const prompt = [3, 1, 4, 1, 5];
const forms = [
  { logits: "last", cache: true },
  { logits: "all", cache: true },
  { logits: "last", cache: false },
  { logits: "all", cache: false },
] as const;

describe.each(forms)("a program with $logits logits, cache: $cache", (form) => {
  it("continues a prompt greedily", async () => {
    const { session } = fakeSession(form);
    const result = await generated(session, { ids: prompt }, { maxNewTokens: 9 });
    expect(result).toEqual({ ids: greedy(prompt, 9), finish: "length" });
  });

  it("gives the logits of every position, whatever was in the cache", async () => {
    const { session } = fakeSession(form);
    await generated(session, { ids: [9, 9, 9] }, { maxNewTokens: 2 });
    expect(await rows(session, prompt)).toEqual(
      prompt.map((_, i) => [...logitsAfter(prompt.slice(0, i + 1))]),
    );
  });

  it("stops when the program has no room for another position", async () => {
    const { session } = fakeSession({ ...form, maxSeqLen: 8 });
    const result = await generated(session, { ids: prompt });
    expect(result).toEqual({ ids: greedy(prompt, 4), finish: "capacity" });
  });

  it("splits a prompt that is longer than a call", async () => {
    if (!form.cache) return;
    const { session, calls } = fakeSession({ ...form, callSize: 2 });
    expect((await generated(session, { ids: prompt }, { maxNewTokens: 1 })).ids).toEqual(greedy(prompt, 1));
    expect(calls.map(({ ids, start }) => [ids.length, start])).toEqual([
      [2, 0],
      [2, 2],
      [1, 4],
    ]);
    expect(await rows(session, prompt)).toHaveLength(prompt.length);
  });
});

describe("Session", () => {
  it("ends after a stop token, of the program or of the caller", async () => {
    const expected = greedy(prompt, 20);
    const stop = expected[3]!;
    const upTo = expected.slice(0, expected.indexOf(stop) + 1);
    const own = fakeSession({ facts: { eosIds: [99, stop] } });
    expect(await generated(own.session, { ids: prompt })).toEqual({ ids: upTo, finish: "stop" });
    const given = fakeSession();
    expect(await generated(given.session, { ids: prompt }, { stopIds: [stop] })).toEqual({
      ids: upTo,
      finish: "stop",
    });
  });

  it("goes on past a stop token of the program where it is told to", async () => {
    const expected = greedy(prompt, 20);
    const { session } = fakeSession({ facts: { eosIds: [expected[3]!] } });
    const options = { maxNewTokens: 20, ignoreEos: true };
    expect((await generated(session, { ids: prompt }, options)).ids).toEqual(expected);
  });

  it("refuses to profile what runs on no GPU", async () => {
    const { session } = fakeSession();
    await expect(session.profile(async () => {})).rejects.toMatchObject({ code: "no-timestamps" });
    expect((await generated(session, { ids: prompt }, { maxNewTokens: 1 })).ids).toEqual(greedy(prompt, 1));
  });

  it("computes only what the cache does not hold", async () => {
    const { session, calls } = fakeSession();
    const first = await generated(session, { ids: prompt }, { maxNewTokens: 3 });
    expect(session.kv.length).toBe(7);
    calls.length = 0;
    const next = [...prompt, ...first.ids, 2, 7];
    expect((await generated(session, { ids: next }, { maxNewTokens: 1 })).ids).toEqual(greedy(next, 1));
    expect(calls).toEqual([{ ids: [first.ids[2], 2, 7], start: 7 }]);
  });

  it("computes again what was forgotten or belongs to another text", async () => {
    const { session, calls } = fakeSession();
    await generated(session, { ids: prompt }, { maxNewTokens: 1 });
    session.kv.truncate(2);
    expect((await generated(session, { ids: prompt }, { maxNewTokens: 1 })).ids).toEqual(greedy(prompt, 1));
    const other = [3, 1, 9];
    expect((await generated(session, { ids: other }, { maxNewTokens: 1 })).ids).toEqual(greedy(other, 1));
    expect(calls.map(({ start }) => start)).toEqual([0, 2, 2]);
    session.kv.reset();
    expect(session.kv.length).toBe(0);
  });

  it("keeps two generations on one session apart", async () => {
    const { session } = fakeSession();
    const other = [2, 2];
    const both = await Promise.all([
      generated(session, { ids: prompt }, { maxNewTokens: 6 }),
      generated(session, { ids: other }, { maxNewTokens: 6 }),
      rows(session, prompt),
    ]);
    expect(both[0].ids).toEqual(greedy(prompt, 6));
    expect(both[1].ids).toEqual(greedy(other, 6));
    expect(both[2][4]).toEqual([...logitsAfter(prompt)]);
  });

  it("keeps count of positions that are run directly", async () => {
    const { session } = fakeSession();
    const run = (ids: number[], start: number) =>
      session.run({ tokens: tensor("i64", [1, ids.length], ids), start_pos: tensor("i64", [1], [start]) });
    await run([3, 1, 4], 0);
    expect(session.kv.length).toBe(3);
    await expect(run([1], 4)).rejects.toThrow(/cache-gap/);
    const { logits } = await run([1, 5], 3);
    expect([...logits!.data]).toEqual([...logitsAfter(prompt)]);
    expect((await generated(session, { ids: prompt }, { maxNewTokens: 2 })).ids).toEqual(greedy(prompt, 2));
  });

  it("throws the signal's reason when it is aborted", async () => {
    const { session } = fakeSession();
    const controller = new AbortController();
    const made: number[] = [];
    const work = async () => {
      for await (const { id } of session.generate({ ids: prompt }, { signal: controller.signal })) {
        made.push(id);
        if (made.length === 2) controller.abort(new Error("enough"));
      }
    };
    await expect(work()).rejects.toThrow("enough");
    expect(made).toHaveLength(2);
  });

  it("says what is wrong with a prompt", async () => {
    const { session } = fakeSession({ maxSeqLen: 4 });
    await expect(generated(session, { ids: prompt })).rejects.toThrow(
      /prompt-too-long.*5 tokens.*room for 4/,
    );
    await expect(generated(session, { ids: [] })).rejects.toThrow(/prompt-empty/);
    await expect(generated(session, { ids: [1, 11, -1] })).rejects.toThrow(/token-id.*11, -1/);
    await expect(generated(session, "text")).rejects.toThrow(/no-tokenizer/);
  });

  it("says everything that is wrong with a run's inputs at once", async () => {
    const { session } = fakeSession({ maxSeqLen: 4 });
    const inputs = { tokens: tensor("i64", [1, 9]), other: tensor("f32", [1]) };
    await expect(session.run(inputs)).rejects.toThrow(
      /start_pos is missing[\s\S]*other is not one of[\s\S]*tokens has size 9/,
    );
  });

  it("describes the program", () => {
    const { session } = fakeSession({ maxSeqLen: 16, facts: { eosIds: [1, 2], bosId: 0 } });
    expect(session.info).toMatchObject({
      isLanguageModel: true,
      hasCache: true,
      maxSeqLen: 16,
      vocabSize: 11,
      eosIds: [1, 2],
      inputs: [
        { name: "tokens", dtype: "i64", shape: [1, "seq<=16"] },
        { name: "start_pos", shape: [1] },
      ],
    });
  });
});
