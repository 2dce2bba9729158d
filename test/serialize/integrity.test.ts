import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { delegateId } from "../../src/serialize/delegate.ts";
import { encodeDelegate } from "../../src/serialize/delegate-encoder.ts";
import { writeDelegate } from "../../src/serialize/delegate-writer.ts";
import { describeProgram } from "../../src/serialize/describe-program.ts";
import { insertHeader } from "../../src/serialize/header.ts";
import { openProgram } from "../../src/serialize/open-program.ts";
import { encodeProgram } from "../../src/serialize/program-encoder.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { hexOf } from "../../src/tensor/hex.ts";
import { sha256Hex } from "../../src/tensor/sha256.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { sampleContents, sampleGraph, writeSample } from "./sample.ts";
import { samplePlan } from "./sample-plan.ts";

// Two methods: what the head says of a delegate is there twice.
const sample = sampleContents();
const contents = {
  ...sample,
  methods: [...sample.methods, { ...sample.methods[0]!, name: "other" }],
  delegate: {
    ...sample.delegate,
    build: (blobs: Parameters<typeof writeDelegate>[1]) => writeDelegate(sampleGraph, blobs, samplePlan),
  },
};
const { bytes } = await writeSample(contents);
const file = await readProgram(bytesSource("p", bytes));
const base = file.front.length;

/** Opens a program and reads all of it. @returns code and sentence of what is wrong, or "none" */
async function failureOf(data: Uint8Array): Promise<string> {
  try {
    const program = await openProgram(bytesSource("p", data));
    for (const key of program.blobs.keys()) await program.blob(key);
  } catch (error) {
    if (!(error instanceof BitnetcError)) throw error;
    const { code, message } = error.diagnostics[0]!;
    return `${code}: ${message}`;
  }
  return "none";
}

function flipped(at: number, mask: number): Uint8Array {
  const data = bytes.slice();
  data[at]! ^= mask;
  return data;
}

/** What a file of one method's worth of segments is made of: where each part begins and ends. */
function parts(): { readonly name: string; readonly from: number; readonly to: number }[] {
  const keys = new Map([...file.namedData].map(([key, segment]) => [segment.id, key]));
  return file.segments.map(({ id, size }) => {
    const offset = Number(/\[(\d+)\+/.exec(id)![1]);
    return { name: keys.get(id) ?? delegateId, from: offset, to: offset + size };
  });
}

test("what is not damaged opens", async () => {
  expect(await failureOf(bytes)).toBe("none");
  const program = await openProgram(bytesSource("p", bytes), { method: "other" });
  expect(program.plan).toEqual(samplePlan);
});

describe("a program with one bit changed is refused", () => {
  test("anywhere in its head", async () => {
    const found = new Map<string, number>();
    for (let at = 0; at < base; at++) {
      const failure = await failureOf(flipped(at, 1 << (at % 8)));
      const what = failure.includes("program head") ? "program head" : failure.split(":")[0]!;
      found.set(what, (found.get(what) ?? 0) + 1);
    }
    expect(found.has("none")).toBe(false);
    expect([...found.keys()].sort()).toEqual([
      "program head",
      "program-backend",
      "program-corrupt",
      "program-identifier",
      "program-truncated",
    ]);
    // The others are what cannot be read at all.
    expect(found.get("program head")).toBeGreaterThan(0.5 * base);
  });

  test("and where the head's own hash is, by the head's name", async () => {
    for (const delegate of file.delegates) {
      const { byteOffset } = delegate.specs.get("head_sha256")!;
      for (const at of [byteOffset, byteOffset + 31])
        expect(await failureOf(flipped(at, 1))).toContain("program-hash: The part program head");
    }
    const spec = Buffer.from(bytes.subarray(0, base));
    for (let at = spec.indexOf("head_sha256"); at !== -1; at = spec.indexOf("head_sha256", at + 1))
      expect(await failureOf(flipped(at, 1))).toContain("program-hash: The part program head");
  });

  test("anywhere in a part, by its name", async () => {
    for (const { name, from, to } of parts()) {
      const places = [from, from + 1, to - 1];
      for (let at = from; at < to; at += 97) places.push(at);
      for (const at of places) {
        const failure = await failureOf(flipped(at, 1 << (at % 8)));
        expect(failure).toContain("program-hash");
        // Of blobs of equal contents, one is in the file: the first that is read is named.
        expect(failure).toMatch(new RegExp(`The part (${name}|weight\\.[01]|weight\\.[34]) is not`));
      }
    }
  });

  test("anywhere between parts, by the name of the one before", async () => {
    const all = parts();
    let count = 0;
    for (const [i, { to }] of all.slice(0, -1).entries()) {
      for (let at = to; at < all[i + 1]!.from; at += 1 + (at % 7)) {
        expect(await failureOf(flipped(at, 0x10))).toMatch(/program-corrupt: .*what follows the part [a-z]+/);
        count++;
      }
    }
    expect(count).toBeGreaterThan(30);
  });
});

test("a program with bytes behind its end is refused", async () => {
  for (const more of [1, 100]) {
    const data = new Uint8Array(bytes.length + more);
    data.set(bytes);
    expect(await failureOf(data)).toContain(`program-corrupt: The program is corrupt: ${more} bytes follow`);
  }
});

test("a program of which two places are damaged so that they agree is refused", async () => {
  // The delegate with another weight's hash, and the head with that delegate's.
  const program = await openProgram(bytesSource("p", bytes));
  const blobs = [...program.blobs.values()].map((blob) => ({
    ...blob,
    sha256: sha256Hex(new Uint8Array(1)),
  }));
  const delegate = writeDelegate(sampleGraph, blobs, samplePlan);
  const data = bytes.slice();
  data.set(delegate, bytes.length - delegate.length);
  for (const { specs } of file.delegates) {
    const { byteOffset } = specs.get("sha256")!;
    data.set(Buffer.from(sha256Hex(delegate), "hex"), byteOffset);
  }
  expect(await failureOf(data)).toContain("The part program head");
});

test("a program of version 1 opens, whose head has no hash", async () => {
  const old = {
    ...sample,
    delegate: {
      ...sample.delegate,
      build: (blobs: Parameters<typeof writeDelegate>[1]) => encodeDelegate({ graph: sampleGraph, blobs }, 1),
    },
  };
  const { bytes } = await writeSample(old);
  const file = await readProgram(bytesSource("p", bytes));
  const tables = describeProgram(file);
  const methods = tables.methods.map((method) => ({
    ...method,
    delegates: method.delegates.map((delegate) => ({
      ...delegate,
      specs: delegate.specs.filter(({ key }) => key !== "head_sha256"),
    })),
  }));
  const withoutHash = (data: Uint8Array): Uint8Array => {
    const copy = data.slice();
    copy.fill(0, 0, file.front.length);
    const front = insertHeader(
      encodeProgram({ ...tables, methods }),
      file.front.length,
      data.length - file.front.length,
    );
    copy.set(front);
    return copy;
  };
  expect(await failureOf(withoutHash(bytes))).toBe("none");

  // The same of a program that should have one.
  const { bytes: own } = await writeSample(sample);
  const ownFile = await readProgram(bytesSource("p", own));
  expect(ownFile.front.length).toBe(file.front.length);
  const ownTables = describeProgram(ownFile);
  const data = own.slice();
  data.fill(0, 0, ownFile.front.length);
  const front = encodeProgram({
    ...ownTables,
    methods: ownTables.methods.map((method) => ({
      ...method,
      delegates: method.delegates.map((delegate) => ({
        ...delegate,
        specs: delegate.specs.filter(({ key }) => key !== "head_sha256"),
      })),
    })),
  });
  data.set(insertHeader(front, ownFile.front.length, own.length - ownFile.front.length));
  expect(await failureOf(data)).toContain("The part program head");
  expect(hexOf(ownFile.delegates[0]!.specs.get("head_sha256")!)).not.toMatch(/^0+$/);
});
