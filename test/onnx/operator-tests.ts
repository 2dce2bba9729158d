import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { compile } from "../../src/compiler/compile.ts";
import { BitnetcError } from "../../src/errors.ts";
import { ExternalData } from "../../src/frontend/onnx/external.ts";
import { readOnnxModel } from "../../src/frontend/onnx/read.ts";
import { readTensor } from "../../src/frontend/onnx/tensor.ts";
import { MessageReader } from "../../src/frontend/onnx/wire.ts";
import { readWeight } from "../../src/ir/weights.ts";
import type { Options } from "../../src/options.ts";
import { type OpenOptions, open } from "../../src/runtime/open.ts";
import { openPortable } from "../../src/runtime/portable.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { bytesSource, type Source } from "../../src/tensor/source.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { tarFiles } from "../support/tar.ts";

type Tensors = Readonly<Record<string, Tensor>>;

/** One of ONNX's operator tests: model.onnx and test_data_set_*, by their paths. */
export interface OperatorTest {
  readonly name: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Tolerances of ONNX's own backend tests. */
const relativeTolerance = 1e-3;
const absoluteTolerance = 1e-7;

/** The tests in a folder, or in a tar archive compressed with Brotli. */
export async function* operatorTests(location: string): AsyncGenerator<OperatorTest> {
  if (!(await stat(location)).isDirectory()) {
    yield* archivedTests(brotliDecompressSync(await readFile(location)));
    return;
  }
  for (const name of (await readdir(location)).sort()) {
    const files = new Map<string, Uint8Array>();
    const folder = path.join(location, name);
    if (!(await stat(folder)).isDirectory()) continue;
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      files.set(path.relative(folder, file).split(path.sep).join("/"), await readFile(file));
    }
    if (files.has("model.onnx")) yield { name, files };
  }
}

function archivedTests(archive: Uint8Array): readonly OperatorTest[] {
  const tests = new Map<string, Map<string, Uint8Array>>();
  for (const [file, bytes] of tarFiles(archive)) {
    const [name, ...rest] = file.split("/");
    tests.set(name!, (tests.get(name!) ?? new Map()).set(rest.join("/"), bytes));
  }
  return [...tests].map(([name, files]) => ({ name, files }));
}

/**
 * Compiles a test's model for a backend and runs it with each of its data sets, on the CPU unless `options` say
 * otherwise.
 * @returns undefined when all outputs are as expected, else why not
 */
export async function failureOf(
  { files }: OperatorTest,
  options: OpenOptions = { device: "cpu" },
  backend: Options["backend"] = "webgpu",
): Promise<string | undefined> {
  try {
    const model = bytesSource("model.onnx", files.get("model.onnx")!);
    const { graph } = await readOnnxModel(model);
    const inputNames = graph.inputs.map(({ name }) => name).filter((name) => !graph.initializers.has(name));
    const outputNames = graph.outputs.map(({ name }) => name);
    const sets = new Set(
      [...files.keys()].filter((file) => file.includes("/")).map((file) => path.dirname(file)),
    );
    if (sets.size === 0) return "there is no test data";
    for (const set of [...sets].sort()) {
      const inputs = await readTensors(files, `${set}/input`, inputNames);
      const expected = await readTensors(files, `${set}/output`, outputNames);
      const difference = differences(
        await run(await compileWith(model, inputs, backend), inputs, options),
        expected,
      );
      if (difference !== undefined) return `${set}: ${difference}`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof BitnetcError)
      return error.diagnostics.map(({ code, message }) => `${code}: ${message}`).join(" ");
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

/** Compiles the model; inputs whose elements must be known at compile time become constants, with the test's data. */
async function compileWith(model: Source, inputs: Tensors, backend: Options["backend"]): Promise<Uint8Array> {
  const constants: Record<string, Tensor> = {};
  for (;;) {
    try {
      const sink = memorySink();
      await compile({ model }, sink, { constants, backend });
      return sink.bytes();
    } catch (error) {
      if (!(error instanceof BitnetcError)) throw error;
      const needed = error.diagnostics
        .filter(({ code }) => code === "needs-constant-input")
        .map(({ at }) => at ?? "")
        .filter((name) => inputs[name] !== undefined && constants[name] === undefined);
      if (needed.length === 0) throw error;
      for (const name of needed) constants[name] = inputs[name]!;
    }
  }
}

async function run(program: Uint8Array, inputs: Tensors, options: OpenOptions): Promise<Tensors> {
  await using session = await open(program, { portable: openPortable, ...options });
  const names = session.info.inputs.map(({ name }) => name);
  return session.run(Object.fromEntries(names.map((name) => [name, inputs[name]!])));
}

function differences(found: Tensors, expected: Tensors): string | undefined {
  for (const [name, want] of Object.entries(expected)) {
    const have = found[name];
    const difference = have === undefined ? "is missing" : differenceOf(have, want);
    if (difference !== undefined) return `output ${name} ${difference}`;
  }
  return undefined;
}

/** How a tensor differs from the expected one; integers must be equal, NaN equals NaN. */
export function differenceOf(have: Tensor, want: Tensor): string | undefined {
  const typeOf = ({ dtype, shape }: Tensor): string => `${dtype}[${shape.join(", ")}]`;
  if (typeOf(have) !== typeOf(want)) return `is ${typeOf(have)} instead of ${typeOf(want)}`;
  if (have.data.length !== want.data.length)
    return `has ${have.data.length} elements instead of ${want.data.length}`;
  const [relative, absolute] = isFloat(want.dtype) ? [relativeTolerance, absoluteTolerance] : [0, 0];
  const wrong: number[] = [];
  want.data.forEach((expected, i) => {
    const value = have.data[i]!;
    const isClose =
      Number.isFinite(expected) && Math.abs(value - expected) <= absolute + relative * Math.abs(expected);
    if (!isClose && value !== expected && !(Number.isNaN(value) && Number.isNaN(expected))) wrong.push(i);
  });
  const first = wrong[0];
  if (first === undefined) return undefined;
  const count = `${wrong.length} of ${want.data.length} elements`;
  return `has ${count} wrong, the first at ${first}: ${have.data[first]} instead of ${want.data[first]}`;
}

/** The files `prefix`_0.pb, `prefix`_1.pb, … as tensors, by the names they are for. */
async function readTensors(
  files: OperatorTest["files"],
  prefix: string,
  names: readonly string[],
): Promise<Tensors> {
  const tensors: Record<string, Tensor> = {};
  for (const [i, name] of names.entries()) {
    const file = files.get(`${prefix}_${i}.pb`);
    if (file !== undefined) tensors[name] = await readTensorFile(bytesSource(`${prefix}_${i}.pb`, file));
  }
  return tensors;
}

/** Reads a file that holds one TensorProto. */
async function readTensorFile(source: Source): Promise<Tensor> {
  const span = { from: 0, to: source.size };
  const stored = await readTensor(new MessageReader(source), span, new ExternalData(undefined), source.name);
  return readWeight(await stored.weight());
}
