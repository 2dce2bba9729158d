import { afterEach, describe, expect, it, vi } from "vitest";
import { clearCache, opfsCache } from "../../src/runtime/opfs-cache.ts";
import { FakeFolder } from "./fake-folder.ts";

function browserWith(root: unknown): void {
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => root } });
}
afterEach(() => vi.unstubAllGlobals());

const piece = (size: number) => Uint8Array.from({ length: size }, (_, i) => i);

describe("opfsCache", () => {
  it("gives in a later visit what was put in", async () => {
    const root = new FakeFolder();
    browserWith(root);
    const large = new Uint8Array(100);
    large.set(piece(10), 40);
    await (await opfsCache())!.put("ab12", large.subarray(40, 50));
    expect([...root.folders.get("bitnetc")!.files.keys()]).toEqual(["ab12"]);
    const later = (await opfsCache())!;
    expect(await later.get("ab12")).toEqual(piece(10));
    expect(await later.get("cd34")).toBeUndefined();
  });

  it("keeps what fits, and leaves nothing of the rest", async () => {
    const root = new FakeFolder(25);
    browserWith(root);
    const cache = (await opfsCache())!;
    for (const key of ["a", "b", "c", "d"]) await cache.put(key, piece(10));
    expect([...root.folders.get("bitnetc")!.files.keys()]).toEqual(["a", "b"]);
    expect(await cache.get("b")).toEqual(piece(10));
    expect(await cache.get("c")).toBeUndefined();
  });

  it("is absent where there is no such file system", async () => {
    browserWith(undefined);
    expect(await opfsCache()).toBeUndefined();
    vi.stubGlobal("navigator", {});
    expect(await opfsCache()).toBeUndefined();
  });
});

describe("clearCache", () => {
  it("removes all, and does nothing where nothing is", async () => {
    const root = new FakeFolder();
    browserWith(root);
    await clearCache();
    await (await opfsCache())!.put("a", piece(3));
    await clearCache();
    expect(root.folders.size).toBe(0);
  });

  it("says when it cannot", async () => {
    browserWith({ removeEntry: () => Promise.reject(new DOMException("no", "NoModificationAllowedError")) });
    await expect(clearCache()).rejects.toThrow("no");
  });
});
