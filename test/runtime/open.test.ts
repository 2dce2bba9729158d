import { afterEach, describe, expect, it, vi } from "vitest";
import { webgpuPackage } from "../../src/diagnostics.ts";
import { BitnetcError } from "../../src/errors.ts";
import { type OpenOptions, type OpenProgress, open, type Session } from "../../src/runtime/index.ts";
import { bytesSource, type Source } from "../../src/tensor/source.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { bigramPlan, bigramProgram, bigramTable } from "../cli/bigram-program.ts";
import { FakeFolder } from "./fake-folder.ts";

afterEach(() => vi.unstubAllGlobals());

const vocabSize = 70;
const table = bigramTable(vocabSize);
const plain = await bigramProgram(vocabSize, { "notes.txt": "what no one reads" });
const planned = await bigramProgram(vocabSize, {}, table, bigramPlan(vocabSize));
const rowsOf = (ids: readonly number[]) =>
  ids.flatMap((id) => [...table.subarray(id * vocabSize, (id + 1) * vocabSize)]);

async function logitsOf(session: Session, ids: readonly number[]): Promise<number[]> {
  const start = tensor("i64", [1], [0]);
  const { logits } = await session.run({ tokens: tensor("i64", [1, ids.length], ids), start_pos: start });
  return [...logits!.data];
}

/** A program that counts the bytes that are read of it. */
function counted(bytes: Uint8Array): { readonly source: Source; readonly read: () => number } {
  let read = 0;
  const source = bytesSource("counted.pte", bytes);
  return {
    source: {
      ...source,
      read: (from, to) => {
        read += to - from;
        return source.read(from, to);
      },
    },
    read: () => read,
  };
}

const adapter = (info: Partial<GPUAdapterInfo>): Partial<GPUAdapter> => ({
  features: new Set() as unknown as GPUSupportedFeatures,
  limits: { maxBufferSize: 1000 } as GPUSupportedLimits,
  info: { vendor: "acme", architecture: "one", ...info } as GPUAdapterInfo,
});
const gpuWith = (found: Partial<GPUAdapter> | null): GPU =>
  ({ requestAdapter: async () => found }) as unknown as GPU;

describe("a program without a plan", () => {
  it("runs on the CPU, and says why", async () => {
    const session = await open(plain, { gpu: gpuWith(adapter({})) });
    expect(session.device).toBe("cpu");
    expect(session.info.deviceNote).toContain("bitnetc explain");
    expect(await logitsOf(session, [3, 9])).toEqual(rowsOf([3, 9]));
    expect((await open(plain, { device: "cpu" })).info.deviceNote).toBeUndefined();
  });

  it("is refused where a GPU is asked for, before weights are read", async () => {
    const { source, read } = counted(plain);
    await expect(open(source, { device: "webgpu", gpu: gpuWith(adapter({})) })).rejects.toMatchObject({
      code: "device-unavailable",
      message: expect.stringContaining("bitnetc explain"),
    });
    expect(read()).toBeLessThan(table.byteLength);
  });
});

describe("a program with a plan, where there is no GPU for it", () => {
  const demanding = bigramProgram(
    vocabSize,
    {},
    table,
    bigramPlan(vocabSize, { features: ["shader-f16"], limits: { maxBufferSize: 5000 } }),
  );
  const cases: readonly [string, OpenOptions["gpu"], string, RegExp][] = [
    ["no WebGPU", undefined, "device-unavailable", /no WebGPU/],
    ["no adapter", gpuWith(null), "device-unavailable", /no graphics adapter/],
    [
      "no package",
      () => Promise.reject(new BitnetcError(webgpuPackage())),
      "webgpu-package",
      /not installed/,
    ],
    ["too small an adapter", gpuWith(adapter({})), "device-unfit", /shader-f16; maxBufferSize must be 5000/],
  ];

  it.each(cases)("runs on the CPU with a note: %s", async (_, gpu, __, why) => {
    vi.stubGlobal("navigator", {});
    const session = await open(await demanding, gpu === undefined ? {} : { gpu });
    expect(session.device).toBe("cpu");
    expect(session.info.deviceNote).toMatch(why);
    expect(await logitsOf(session, [3])).toEqual(rowsOf([3]));
  });

  it.each(cases)("is refused where a GPU is asked for: %s", async (_, gpu, code, why) => {
    vi.stubGlobal("navigator", {});
    const { source, read } = counted(await demanding);
    const work = open(source, { device: "webgpu", ...(gpu !== undefined && { gpu }) });
    await expect(work).rejects.toMatchObject({ code, message: expect.stringMatching(why) });
    expect(read()).toBeLessThan(table.byteLength);
  });

  it("leaves adapters alone that run shaders on the CPU, unless asked", async () => {
    const gpu = gpuWith(adapter({ isFallbackAdapter: true, description: "Soft 1.0" }));
    const session = await open(await demanding, { gpu });
    expect(session.info.deviceNote).toMatch(/Soft 1\.0, runs shaders on the CPU/);
    await expect(open(await demanding, { gpu, device: "webgpu" })).rejects.toThrow(/device-unfit/);
  });

  it("passes on what has nothing to do with devices", async () => {
    const gpu = () => Promise.reject(new TypeError("a fault"));
    await expect(open(planned, { gpu })).rejects.toThrow("a fault");
  });

  it("goes on on the CPU when the GPU fails while it is opened", async () => {
    const device = {
      lost: new Promise(() => {}),
      pushErrorScope: () => {},
      popErrorScope: async () => ({ message: "128 MiB are too many" }),
      createBuffer: () => ({ destroy: () => {} }),
      destroy: () => {},
    };
    const gpu = gpuWith({ ...adapter({}), requestDevice: async () => device as unknown as GPUDevice });
    const session = await open(planned, { gpu });
    expect(session.device).toBe("cpu");
    expect(session.info.deviceNote).toMatch(/^The GPU /);
    await expect(open(planned, { gpu, device: "webgpu" })).rejects.toThrow(/error\[device-/);
  });
});

describe("opening", () => {
  it("tells how many bytes are loaded, up to all of them", async () => {
    const seen: OpenProgress[] = [];
    await open(plain, { onProgress: (progress) => seen.push(progress) });
    const total = table.byteLength + "what no one reads".length;
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)).toEqual({ phase: "weights", loaded: total, total });
    expect(seen.every(({ loaded }, i) => loaded > (seen[i - 1]?.loaded ?? 0))).toBe(true);
  });

  it("takes bytes, files, addresses and sources", async () => {
    const answer = new Response(plain as BodyInit);
    vi.stubGlobal("fetch", async () => answer.clone());
    const sources = [
      plain,
      new Blob([plain as BlobPart]),
      "https://models.example/a.pte",
      counted(plain).source,
    ];
    for (const source of [...sources, new URL("https://models.example/a.pte")])
      expect(await logitsOf(await open(source), [8])).toEqual(rowsOf([8]));
  });

  it("calls a file by its name in errors", async () => {
    await expect(open(new File(["x"], "mine.pte"))).rejects.toMatchObject({
      diagnostics: [{ at: "mine.pte" }],
    });
  });

  it("checks also what nobody reads", async () => {
    const damaged = plain.slice();
    const text = new TextEncoder().encode("what no one reads");
    const at = damaged.findIndex((_, i) => text.every((byte, j) => damaged[i + j] === byte));
    damaged[at]!++;
    await expect(open(damaged)).rejects.toThrow(/program-hash.*notes\.txt/);
  });

  it("ends with the signal's reason", async () => {
    await expect(open(plain, { signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error("in between"));
    await expect(open(plain, { signal: controller.signal, onProgress })).rejects.toThrow("in between");
  });

  it("reads weights once, where the browser keeps them", async () => {
    vi.stubGlobal("navigator", { storage: { getDirectory: async () => root } });
    const root = new FakeFolder();
    const first = counted(plain);
    await open(first.source, { cache: "opfs" });
    const second = counted(plain);
    const session = await open(second.source, { cache: "opfs" });
    expect(await logitsOf(session, [6])).toEqual(rowsOf([6]));
    expect(first.read() - second.read()).toBeGreaterThan(table.byteLength);
    for (const bytes of root.folders.get("bitnetc")!.files.values()) bytes[0]!++;
    const third = counted(plain);
    expect(await logitsOf(await open(third.source, { cache: "opfs" }), [6])).toEqual(rowsOf([6]));
    expect(third.read()).toBe(first.read());
  });
});
