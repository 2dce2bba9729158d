import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { safetensorsFile } from "../checkpoint/write-checkpoint.ts";
import { modelBytes, node, onnx, rawTensor, value } from "../onnx/build-model.ts";
import { unpacked } from "../support/archive.ts";
import { runCli, temporaryFolder } from "./run-cli.ts";

const { FLOAT, STRING } = onnx.TensorProto.DataType;
const bard = unpacked("bard.tar.br");
const folder = temporaryFolder();
afterAll(() => folder.remove());

const write = (name: string, bytes: Uint8Array | string): string => {
  mkdirSync(join(folder.file(name), ".."), { recursive: true });
  writeFileSync(folder.file(name), bytes);
  return folder.file(name);
};

/** A copy of the packed checkpoint with some files changed. */
function checkpoint(
  name: string,
  changes: Readonly<Record<string, (bytes: Buffer) => Uint8Array | string>>,
): string {
  cpSync(`${bard}/hf-packed`, folder.file(name), { recursive: true, mode: 0 });
  for (const [file, change] of Object.entries(changes))
    write(`${name}/${file}`, change(readFileSync(`${bard}/hf-packed/${file}`)));
  return folder.file(name);
}

const graph = (
  dataType: number,
  ops: readonly string[],
  weight = rawTensor("w", FLOAT, [2], Float32Array.of(1, 2)),
) => ({
  input: [value("x", dataType, [2])],
  output: [value("y", dataType, [2])],
  initializer: [weight],
  node: ops.map((op, i) =>
    node(op, [i === 0 ? "x" : `t${i}`, "w"], [i === ops.length - 1 ? "y" : `t${i + 1}`]),
  ),
});

const external = (location: string): Uint8Array => {
  const entry = (key: string, text: string) => ({ key, value: text });
  const weight = {
    name: "w",
    dataType: FLOAT,
    dims: [2],
    dataLocation: 1,
    externalData: [entry("location", location)],
  };
  return modelBytes({ graph: graph(FLOAT, ["Mul"], weight as never) });
};

const config = (bytes: Buffer, change: object): string =>
  JSON.stringify({ ...JSON.parse(bytes.toString()), ...change });

/** What is wrong, its code, the file that is compiled, and what the message must name. */
const models: readonly (readonly [fault: string, code: RegExp, path: () => string, names: RegExp])[] = [
  ["a missing file", /file-missing/, () => folder.file("none.onnx"), /none\.onnx/],
  [
    "an ONNX file cut short",
    /file-truncated/,
    () => write("cut.onnx", readFileSync(`${bard}/onnx/dynamo-kv.onnx`).subarray(0, 3_000_000)),
    /cut\.onnx/,
  ],
  [
    "a file that is no ONNX",
    /onnx-/,
    () => write("noise.onnx", "not a model at all, but text"),
    /noise\.onnx/,
  ],
  [
    "external data outside the folder",
    /external|outside/,
    () => write("outside.onnx", external("../secret.bin")),
    /secret\.bin/,
  ],
  [
    "external data at an absolute path",
    /external|outside/,
    () => write("absolute.onnx", external("/etc/hostname")),
    /hostname/,
  ],
  [
    "external data that is missing",
    /external|missing/,
    () => write("alone.onnx", external("alone.data")),
    /alone\.data/,
  ],
  [
    "unknown ops, all of them",
    /onnx-unknown|unsupported/,
    () => write("ops.onnx", modelBytes({ graph: graph(FLOAT, ["Frobnicate", "Twiddle"]) })),
    /Frobnicate[\s\S]*Twiddle/,
  ],
  [
    "a dtype that no op takes",
    /onnx-|dtype|unsupported/,
    () => write("dtype.onnx", modelBytes({ graph: graph(STRING, ["Mul"]) })),
    /string/i,
  ],
  [
    "a safetensors header that is no JSON",
    /safetensors-/,
    () => checkpoint("json", { "model.safetensors": () => safetensorsFile("{not json") }),
    /model\.safetensors/,
  ],
  [
    "a safetensors header that is longer than its file",
    /safetensors-/,
    () => checkpoint("long", { "model.safetensors": () => safetensorsFile("{}", undefined, 2 ** 40) }),
    /model\.safetensors/,
  ],
  [
    "safetensors cut short",
    /safetensors-truncated/,
    () => checkpoint("short", { "model.safetensors": (bytes) => bytes.subarray(0, -1000) }),
    /model\.safetensors/,
  ],
  [
    "a config field it does not know",
    /config-|checkpoint-/,
    () => checkpoint("field", { "config.json": (bytes) => config(bytes, { num_experts: 8 }) }),
    /num_experts/,
  ],
  [
    "an architecture it does not know",
    /config-|checkpoint-/,
    () =>
      checkpoint("architecture", {
        "config.json": (bytes) => config(bytes, { architectures: ["MambaForCausalLM"] }),
      }),
    /MambaForCausalLM/,
  ],
  [
    "an activation it does not know",
    /json-field/,
    () => checkpoint("activation", { "config.json": (bytes) => config(bytes, { hidden_act: "snake" }) }),
    /hidden_act/,
  ],
];

/** A sentence with a code, on stderr alone, and no trace of the program's insides. */
const sentence = /^error\[[a-z0-9-]+\]: [A-Z][^\n]*[.:]/;
const trace = /^\s+at .*:\d+:\d+/m;

describe("compile", () => {
  test.each(models)("says what is wrong with %s", async (_, code, path, names) => {
    const model = path();
    mkdirSync(folder.file("out"), { recursive: true });
    const { code: exit, out, err } = await runCli("compile", model, "-o", folder.file("out/model.pte"));
    expect({ exit, out }).toEqual({ exit: 1, out: "" });
    expect(err).toMatch(sentence);
    expect(err.slice(0, err.indexOf("]"))).toMatch(code);
    expect(err).toMatch(names);
    expect(err).not.toMatch(trace);
    expect(readdirSync(folder.file("out"))).toEqual([]);
  });

  test("shows the trace when asked", async () => {
    const { err } = await runCli(
      "compile",
      folder.file("none.onnx"),
      "-o",
      folder.file("none.pte"),
      "--verbose",
    );
    expect(err).toMatch(trace);
  });
});

describe("run and inspect", () => {
  let program: Buffer;
  beforeAll(async () => {
    await runCli("compile", `${bard}/hf-packed`, "-o", folder.file("good.pte"));
    program = readFileSync(folder.file("good.pte"));
  });
  const change = (at: number, text: string): Buffer => {
    const copy = Buffer.from(program);
    copy.write(text, at, "latin1");
    return copy;
  };
  const broken: readonly (readonly [fault: string, code: string, bytes: () => Uint8Array])[] = [
    ["an empty file", "program-truncated", () => Buffer.alloc(0)],
    ["a program cut in its header", "program-truncated", () => program.subarray(0, 30)],
    ["a program cut in its tables", "program-truncated", () => program.subarray(0, 600)],
    ["a program cut in its weights", "program-truncated", () => program.subarray(0, -1)],
    ["another identifier", "program-identifier", () => change(4, "TFL3")],
    ["an impossible offset", "program-", () => change(0, "\xff\xff\xff\x7f")],
  ];
  test.each(broken)("refuse %s", async (fault, code, bytes) => {
    const path = write(`${fault.replaceAll(" ", "-")}.pte`, bytes());
    for (const args of [
      ["run", path, "--input-ids", "1"],
      ["inspect", path],
    ]) {
      const { code: exit, out, err } = await runCli(...args);
      expect({ exit, out }).toEqual({ exit: 1, out: "" });
      expect(err).toMatch(sentence);
      expect(err).toContain(`error[${code}`);
      expect(err).not.toMatch(trace);
    }
  });

  test("run refuses a program whose weights were changed, and names the blob", async () => {
    const path = write("changed.pte", change(Math.floor(program.length / 2), "changed"));
    const { code, err } = await runCli("run", path, "--input-ids", "1");
    expect(code).toBe(1);
    expect(err).toMatch(/error\[program-hash\].* w\d+ /);
  });
});
