/**
 * npm run peers [MODEL.onnx [PROMPT_TOKENS [NEW_TOKENS]]]: decode speed of bitnetc's WebGPU programs and of
 * onnxruntime-node's WebGPU provider, on the same ONNX file with a key-value cache, in turns, in one process.
 *
 * onnxruntime-node is no dependency: `ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node`, here or in
 * another folder that ONNXRUNTIME_FOLDER then names. It brings a WebGPU of its own, which takes the adapter that it finds
 * first: the same one where the machine has one.
 *
 * Both continue the same prompt greedily. onnxruntime keeps keys and values in GPU buffers, which go from one call to the
 * next without a copy to the CPU, and its logits come to the CPU for each token, where the likeliest is taken: its API
 * has no other way. A time is that of all tokens after the first; compilation is not in it, nor what warms up.
 */
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { compile, memorySink } from "../src/index.ts";
import { openInput } from "../src/node/compile-file.ts";
import { nodeGpu } from "../src/node/gpu.ts";
import { open } from "../src/runtime/index.ts";
import { Pcg32 } from "../src/runtime/random.ts";
import { unpacked } from "../test/support/archive.ts";

/** What is used of onnxruntime-node. */
interface OrtTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  dispose(): void;
}
interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly { readonly name: string; readonly shape: readonly (number | string)[] }[];
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
}
interface Ort {
  readonly InferenceSession: { create(path: string, options: object): Promise<OrtSession> };
  readonly Tensor: new (
    type: string,
    data: BigInt64Array | Float32Array,
    dims: readonly number[],
  ) => OrtTensor;
}

/** The tokens that follow a prompt, and milliseconds of all but the first. */
type Continue = (
  prompt: readonly number[],
  count: number,
) => Promise<{ readonly ids: readonly number[]; readonly time: number }>;

const rounds = 5;
const [file = join(unpacked("bard.tar.br"), "onnx/dynamo-kv.onnx"), prompted = "64", made = "64"] =
  process.argv.slice(2);
const [promptTokens, newTokens] = [Number(prompted), Number(made)];

function loadOrt(): Ort {
  const folder = resolve(process.env.ONNXRUNTIME_FOLDER ?? ".");
  try {
    return createRequire(join(folder, "package.json"))("onnxruntime-node") as Ort;
  } catch {
    console.error(
      `onnxruntime-node is not in ${folder}: ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node`,
    );
    process.exit(2);
  }
}

async function onnxruntime(ort: Ort): Promise<Continue> {
  const isLogits = (name: string) => name === "logits";
  const probe = await ort.InferenceSession.create(file, { executionProviders: ["cpu"] });
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ["webgpu"],
    logSeverityLevel: 3,
    preferredOutputLocation: Object.fromEntries(
      probe.outputNames.map((name) => [name, isLogits(name) ? "cpu" : "gpu-buffer"]),
    ),
  });
  const past = session.inputNames.filter((name) => name.startsWith("past"));
  const present = session.outputNames.filter((name) => !isLogits(name));
  const empty = past.map((name) => {
    const { shape } = session.inputMetadata.find((input) => input.name === name)!;
    const dims = shape.map((size, i) => (i === 0 ? 1 : typeof size === "number" ? size : 0));
    return new ort.Tensor("float32", new Float32Array(0), dims);
  });
  const integers = (values: readonly number[]) =>
    new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  return async (prompt, count) => {
    let caches = empty;
    let call = prompt;
    let position = 0;
    let started = 0;
    const ids: number[] = [];
    while (ids.length < count) {
      const end = position + call.length;
      const feeds: Record<string, OrtTensor> = {
        input_ids: integers(call),
        attention_mask: integers(range(0, end).fill(1)),
        ...(session.inputNames.includes("position_ids")
          ? { position_ids: integers(range(position, end)) }
          : {}),
      };
      past.forEach((name, i) => {
        feeds[name] = caches[i]!;
      });
      const outputs = await session.run(feeds);
      if (caches !== empty) for (const cache of caches) cache.dispose();
      caches = present.map((name) => outputs[name]!);
      const logits = outputs.logits!;
      const id = likeliest(logits.data.subarray(-logits.dims.at(-1)!));
      if (ids.length === 0) started = performance.now();
      ids.push(id);
      call = [id];
      position = end;
    }
    const time = performance.now() - started;
    for (const cache of caches) cache.dispose();
    return { ids, time };
  };
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

async function bitnetc(): Promise<{ device: string; vocabSize: number; continued: Continue }> {
  const sink = memorySink();
  await compile(await openInput(file), sink, {});
  const session = await open(sink.bytes(), { device: "webgpu", gpu: nodeGpu });
  const continued: Continue = async (prompt, maxNewTokens) => {
    session.kv.truncate(0);
    const ids: number[] = [];
    let started = 0;
    for await (const { id } of session.generate({ ids: prompt }, { maxNewTokens, ignoreEos: true })) {
      started ||= performance.now();
      ids.push(id);
    }
    return { ids, time: performance.now() - started };
  };
  return { device: session.device, vocabSize: session.info.vocabSize!, continued };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

const ort = loadOrt();
const { device, vocabSize, continued } = await bitnetc();
const peers = { bitnetc: continued, onnxruntime: await onnxruntime(ort) };
const random = new Pcg32(1n);
const prompt = Array.from({ length: promptTokens }, () => Math.floor(random.uniform() * vocabSize));
const speeds: Record<keyof typeof peers, number[]> = { bitnetc: [], onnxruntime: [] };
const ids: Partial<Record<keyof typeof peers, readonly number[]>> = {};
for (let round = 0; round <= rounds; round++) {
  for (const name of ["bitnetc", "onnxruntime"] as const) {
    const result = await peers[name](prompt, newTokens);
    ids[name] = result.ids;
    // the first round is to warm up
    if (round > 0) speeds[name].push(((newTokens - 1) * 1000) / result.time);
  }
}
const differing = ids.bitnetc!.findIndex((id, i) => id !== ids.onnxruntime![i]);
console.log(`${device}, ${newTokens} tokens after ${promptTokens}, ${rounds} rounds in turns`);
for (const [name, all] of Object.entries(speeds)) {
  const [least, most] = [Math.min(...all), Math.max(...all)].map((speed) => speed.toFixed(1));
  console.log(`${name.padEnd(12)} ${median(all).toFixed(1)} tokens/s (${least} … ${most})`);
}
console.log(
  `bitnetc is ${(median(speeds.bitnetc) / median(speeds.onnxruntime)).toFixed(2)} times as fast; ` +
    `the tokens are the same ${differing < 0 ? "throughout" : `up to number ${differing}`}`,
);
