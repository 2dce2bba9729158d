import { describe, expect, it } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { fakeSession, greedy } from "./fake-model.ts";

const prompt = [3, 1, 4];
const tokens = { tokens: tensor("i64", [1, 1], [1]), start_pos: tensor("i64", [1], [0]) };

async function idsOf(session: ReturnType<typeof fakeSession>["session"], maxNewTokens = 5) {
  const made: number[] = [];
  for await (const { id } of session.generate({ ids: prompt }, { maxNewTokens })) made.push(id);
  return made;
}

describe("dispose", () => {
  it("frees the device once, and refuses all that is asked for afterwards", async () => {
    const { session, device } = fakeSession();
    const snapshot = await session.kv.save();
    session.dispose();
    session.dispose();
    await session[Symbol.asyncDispose]();
    expect(device.isDisposed).toBe(1);
    for (const work of [
      () => idsOf(session),
      () => session.run(tokens),
      () => session.logits(prompt).next(),
      () => session.perplexity([1, 2, 3], { window: 2 }),
      () => session.kv.save(),
      () => session.kv.restore(snapshot),
    ])
      await expect(work()).rejects.toMatchObject({ code: "session-disposed" });
    session.kv.reset();
  });

  it("ends what is running between two calls, and waits for the call", async () => {
    const events: string[] = [];
    const { session, device } = fakeSession({
      maxCallSize: 1,
      onCall: async () => {
        events.push("begins");
        await new Promise((resolve) => setTimeout(resolve, 5));
        events.push(device.isDisposed > 0 ? "is cut off" : "ends");
      },
    });
    const work = idsOf(session);
    const refused = expect(work).rejects.toMatchObject({ code: "session-disposed" });
    await new Promise((resolve) => setTimeout(resolve, 1));
    await session[Symbol.asyncDispose]();
    await refused;
    expect(events).toEqual(["begins", "ends"]);
    expect(device.isDisposed).toBe(1);
  });

  it("stops a device that works ahead", async () => {
    const { session, device } = fakeSession({ sampling: { batch: 2, maxCandidates: 2 } });
    const tokens = session.generate({ ids: prompt });
    expect((await tokens.next()).value?.id).toBe(greedy(prompt, 1)[0]);
    expect(device.loops).toBe(1);
    await session[Symbol.asyncDispose]();
    expect(device).toMatchObject({ loops: 0, isDisposed: 1 });
    await expect(tokens.next()).rejects.toMatchObject({ code: "session-disposed" });
  });
});
