import { expect, test } from "vitest";
import { memorySink } from "../../src/serialize/sink.ts";

test("a memory sink takes parts in any order and fills gaps with zeros", async () => {
  const sink = memorySink();
  await sink.write(100_000, Uint8Array.of(9));
  await sink.write(1, Uint8Array.of(1, 2));
  await sink.truncate(100_003);
  const bytes = sink.bytes();
  expect(bytes.length).toBe(100_003);
  expect([...bytes.subarray(0, 4)]).toEqual([0, 1, 2, 0]);
  expect([...bytes.subarray(99_999)]).toEqual([0, 9, 0, 0]);
});

test("what a memory sink cut off does not come back", async () => {
  const sink = memorySink();
  await sink.write(0, Uint8Array.of(1, 2, 3));
  await sink.truncate(1);
  await sink.truncate(3);
  expect([...sink.bytes()]).toEqual([1, 0, 0]);
});
