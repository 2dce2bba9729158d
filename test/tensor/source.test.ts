import { expect, test } from "vitest";
import { blobSource, byteRange, bytesSource, memoryFiles, readAll } from "../../src/tensor/source.ts";

const bytes = Uint8Array.from({ length: 10 }, (_, i) => i);

test.each([
  ["bytes", bytesSource("a", bytes)],
  ["a blob", blobSource("a", new Blob([bytes]))],
])("%s are read in parts", async (_, source) => {
  expect(source.size).toBe(10);
  expect(Array.from(await source.read(2, 5))).toEqual([2, 3, 4]);
  expect(Array.from(await readAll(source))).toEqual(Array.from(bytes));
});

test("a range counts from where it begins", async () => {
  const source = bytesSource("model.bin", bytes);
  const range = byteRange(source, 4, 3);
  expect(range.size).toBe(3);
  expect(Array.from(await range.read(1, 3))).toEqual([5, 6]);
  expect(range.id).toBe(byteRange(source, 4, 3).id);
  for (const other of [
    byteRange(source, 4, 2),
    byteRange(source, 3, 3),
    byteRange(bytesSource("b", bytes), 4, 3),
  ])
    expect(other.id).not.toBe(range.id);
});

test("a set of files lists and opens what it holds, and nothing else", async () => {
  const files = memoryFiles("set", { "a.bin": bytes, "dir/b.bin": new Blob([bytes.subarray(0, 2)]) });
  expect(await files.list()).toEqual(["a.bin", "dir/b.bin"]);
  expect((await files.open("a.bin"))?.size).toBe(10);
  expect(Array.from(await readAll((await files.open("dir/b.bin"))!))).toEqual([0, 1]);
  expect(await files.open("c.bin")).toBeUndefined();
  expect(await files.open("toString")).toBeUndefined();
});
