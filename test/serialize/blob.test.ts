import { createHash } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { type ChunkCache, chunkSize, sha256Of } from "../../src/serialize/blob.ts";
import { openProgram } from "../../src/serialize/open-program.ts";
import { bytesOf, hexOf } from "../../src/tensor/hex.ts";
import { portableSha256 } from "../../src/tensor/sha256-portable.ts";
import { bytesSource, type Source } from "../../src/tensor/source.ts";
import { noise, sampleContents, sampleData, writeSample } from "./sample.ts";

const large = noise(2 * chunkSize + 1000, 9);
const { bytes, written } = await writeSample(sampleContents({ ...sampleData, large }));
const start = Buffer.from(bytes).indexOf(Buffer.from(large.subarray(0, 64)));
const hash = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
const pieces = [0, 1, 2].map((i) => large.subarray(i * chunkSize, (i + 1) * chunkSize));

/** Vitest's own comparison takes minutes for as many bytes. */
const expectSame = (have: Uint8Array | undefined, want: Uint8Array): void => {
  expect(have?.length).toBe(want.length);
  expect(Buffer.compare(have!, want)).toBe(0);
};

const failureOf = async (run: () => Promise<unknown>): Promise<string> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof BitnetcError) return error.message;
    throw error;
  }
  return "none";
};

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<readonly Uint8Array[]> {
  const list: Uint8Array[] = [];
  for await (const chunk of chunks) list.push(chunk);
  return list;
}

afterEach(() => vi.unstubAllGlobals());

describe("a blob of several pieces", () => {
  test("has a SHA-256 of each, and a blob of one piece only its own", () => {
    const entry = written.blobs.find(({ key }) => key === "large");
    expect(entry).toEqual({
      key: "large",
      size: large.length,
      sha256: hash(large),
      chunks: { size: chunkSize, sha256: pieces.map(hash) },
    });
    expect(written.blobs[0]).not.toHaveProperty("chunks");
  });

  test("comes piece by piece, or whole", async () => {
    const program = await openProgram(bytesSource("p", bytes));
    expect(program.blobs.get("large")).toEqual(written.blobs.at(-1));
    const chunks = await collect(program.chunks("large"));
    expect(chunks.length).toBe(3);
    for (const [i, chunk] of chunks.entries()) expectSame(chunk, pieces[i]!);
    expectSame(await program.blob("large"), large);
    expect(await collect(program.chunks("weight.2"))).toEqual([sampleData["weight.2"]]);
    expect(() => program.chunks("none")).toThrow("no data none");
  });

  test("is refused where the damaged piece begins, not before", async () => {
    const changed = bytes.slice();
    changed[start + chunkSize + 77]! ^= 4;
    const program = await openProgram(bytesSource("p", changed));
    const chunks = program.chunks("large");
    expectSame((await chunks.next()).value!, pieces[0]!);
    await expect(chunks.next()).rejects.toThrow(/program-hash.*large/);
  });

  test("that nobody reads to its damaged end is no unhandled error", async () => {
    const changed = bytes.slice();
    changed[start + chunkSize + 77]! ^= 4;
    const program = await openProgram(bytesSource("p", changed));
    for await (const chunk of program.chunks("large")) {
      expectSame(chunk, pieces[0]!);
      await new Promise((resolve) => setTimeout(resolve, 50));
      break;
    }
  });

  test("is read one piece ahead", async () => {
    const reads: string[] = [];
    const source: Source = {
      ...bytesSource("p", bytes),
      read: async (from, to) => {
        reads.push(`${from - start}-${to - start}`);
        return bytes.subarray(from, to);
      },
    };
    const program = await openProgram(source);
    reads.length = 0;
    const chunks = program.chunks("large");
    await chunks.next();
    const third = Math.ceil(large.length / 128) * 128;
    expect(reads).toEqual([`0-${chunkSize}`, `${chunkSize}-${2 * chunkSize}`]);
    await chunks.next();
    // The zeros up to the next segment come with the last piece.
    expect(reads.slice(2)).toEqual([`${2 * chunkSize}-${third}`]);
  });
});

describe("a cache", () => {
  const cacheOf = (kept = new Map<string, Uint8Array<ArrayBuffer>>()) => {
    const cache: ChunkCache = {
      get: async (sha256) => kept.get(sha256),
      put: async (sha256, bytes) => void kept.set(sha256, bytes.slice()),
    };
    return { kept, cache };
  };
  const counted = () => {
    const ranges: number[] = [];
    const source: Source = {
      ...bytesSource("p", bytes),
      read: async (from, to) => {
        ranges.push(from);
        return bytes.subarray(from, to);
      },
    };
    return { ranges, source };
  };

  test("is filled with what is read, and read in place of the program", async () => {
    const { kept, cache } = cacheOf();
    const first = await openProgram(bytesSource("p", bytes), { cache });
    expectSame(await first.blob("large"), large);
    expect([...kept.keys()].slice(1)).toEqual(pieces.map(hash));

    const { ranges, source } = counted();
    const second = await openProgram(source, { cache });
    expectSame(await second.blob("large"), large);
    expect(ranges).toEqual([0, 0]);
  });

  test("that is damaged is not believed, and mended", async () => {
    const { kept, cache } = cacheOf();
    await (await openProgram(bytesSource("p", bytes), { cache })).blob("large");
    kept.get(hash(pieces[1]!))![5]! ^= 1;
    kept.set(hash(pieces[2]!), new Uint8Array(0));
    const { ranges, source } = counted();
    expectSame(await (await openProgram(source, { cache })).blob("large"), large);
    expect(ranges.slice(2)).toEqual([start + chunkSize, start + 2 * chunkSize]);
    expectSame(kept.get(hash(pieces[1]!)), pieces[1]!);
    expectSame(kept.get(hash(pieces[2]!)), pieces[2]!);
  });

  test("that fails is done without", async () => {
    const fails = async () => {
      throw new Error("no room");
    };
    const program = await openProgram(bytesSource("p", bytes), { cache: { get: fails, put: fails } });
    expectSame(await program.blob("large"), large);
  });

  test("is given nothing that is damaged", async () => {
    const { kept, cache } = cacheOf();
    const changed = bytes.slice();
    changed[start]! ^= 1;
    const program = await openProgram(bytesSource("p", changed), { cache });
    kept.clear();
    expect(await failureOf(() => program.blob("large"))).toContain("large");
    expect(kept.size).toBe(0);
  });
});

describe("SHA-256", () => {
  test("is the same with and without the platform's", async () => {
    for (const length of [0, 1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 1000, 100_001]) {
      const data = noise(length, length);
      expect(hexOf(portableSha256(data)), `${length} bytes`).toBe(hash(data));
      expect(await sha256Of(data)).toBe(hash(data));
    }
    const within = noise(300, 5).subarray(3, 203);
    expect(hexOf(portableSha256(within))).toBe(hash(within));
  });

  test("checks programs on pages that have none", async () => {
    vi.stubGlobal("crypto", undefined);
    const program = await openProgram(bytesSource("p", bytes));
    expect(await program.blob("weight.3")).toEqual(sampleData["weight.3"]);
    const changed = bytes.slice();
    changed[start]! ^= 1;
    const other = await openProgram(bytesSource("p", changed));
    expect(await failureOf(() => other.blob("large"))).toContain("program-hash");
  });

  test("as text is two digits a byte, and back", () => {
    expect(hexOf(Uint8Array.of(0, 10, 255))).toBe("000aff");
    expect(bytesOf("000aff")).toEqual(Uint8Array.of(0, 10, 255));
  });
});
