import { describe, expect, test } from "vitest";
import { lowerToKernels } from "../../src/backends/portable/lower.ts";
import { compile } from "../../src/compiler/compile.ts";
import { load } from "../../src/compiler/lower.ts";
import { openInput } from "../../src/node.ts";
import type { OptionsInput } from "../../src/options.ts";
import { open } from "../../src/runtime/index.ts";
import { openPortable } from "../../src/runtime/portable.ts";
import { describeProgram } from "../../src/serialize/describe-program.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { unpacked } from "../support/archive.ts";
import { readReference } from "../support/reference.ts";
import { graphOf, runPortable, runReference } from "./portable-run.ts";

const folder = unpacked("bard.tar.br");
const reference = readReference(folder);
const kernel = "llama::sdpa_with_kv_cache.out";

async function program(path: string, options: OptionsInput = {}): Promise<Uint8Array> {
  const sink = memorySink();
  const input = await openInput(`${folder}/${path}`);
  await compile(input, sink, { backend: "portable", maxSeqLen: 512, ...options });
  return sink.bytes();
}

const opened = (bytes: Uint8Array) => open(bytes, { device: "cpu", portable: openPortable });

describe.each(["hf-packed", "onnx/dynamo-kv.onnx"])("%s with llama's attention", async (path) => {
  const bytes = await program(path, { customOps: "llama" });
  const { ids, greedy } = reference.offline.prompts[1]!;

  test("calls it once a layer, with caches [1, C, H, D], and says so", async () => {
    const { methods } = await describeProgram(await readProgram(bytesSource("program", bytes)));
    const forward = methods.find(({ name }) => name === "forward")!;
    const called = forward.chains[0]!.instructions.map((instruction) => {
      if (instruction.type !== "KernelCall") throw new Error(`a ${instruction.type} is none of ours`);
      const { name, overload } = forward.operators[instruction.operator]!;
      return { op: `${name}.${overload}`, args: instruction.args };
    });
    const attentions = called.filter(({ op }) => op === kernel);
    expect(attentions.length).toBe(4);
    expect(called.map(({ op }) => op)).not.toContain("aten::_softmax.out");
    expect(forward.operators.map(({ name }) => name)).not.toContain("aten::index_put_");
    for (const [layer, { args }] of attentions.entries()) {
      expect(args.length).toBe(13);
      const caches = [args[3]!, args[4]!].map((i) => forward.values[i]!);
      for (const [i, kind] of ["key", "value"].entries())
        expect(caches[i]).toMatchObject({
          sizes: [1, 512, 2, 64],
          dynamism: "STATIC",
          extra: { name: `kv.${layer}.${kind}` },
          allocation: { memory: 2 },
        });
      expect([args[5]!, args[6]!, args[7]!, args[9]!, args[10]!].map((i) => forward.values[i])).toEqual([
        { type: "Int", value: 0 },
        { type: "Int", value: 0 },
        { type: "Null" },
        { type: "Bool", value: true },
        { type: "Null" },
      ]);
    }
    const says = methods.find(({ name }) => name === "use_sdpa_with_kv_cache")!;
    expect(says.values).toEqual([{ type: "Bool", value: true }]);
  });

  test("has the logits of the program without it, in one call and token by token", async () => {
    const [ours, plain] = [await opened(bytes), await opened(await program(path))];
    const compare = async (tokens: readonly number[], at: number) => {
      const inputs = {
        tokens: tensor("i64", [1, tokens.length], tokens),
        start_pos: tensor("i64", [1], [at]),
      };
      const [actual, expected] = [await ours.run(inputs), await plain.run(inputs)];
      const differences = Array.from(actual.logits!.data, (x, i) => Math.abs(x - expected.logits!.data[i]!));
      expect(actual.logits!.shape).toEqual(expected.logits!.shape);
      expect(Math.max(...differences)).toBeLessThan(1e-3);
    };
    await compare(ids, 0);
    for (const [i, id] of greedy.slice(0, 4).entries()) await compare([id], ids.length + i);
  }, 60_000);

  test("continues prompts as transformers does, and from a saved cache", async () => {
    const session = await opened(bytes);
    const made: number[] = [];
    for await (const { id } of session.generate({ ids }, { maxNewTokens: 12 })) made.push(id);
    expect(made).toEqual(greedy.slice(0, 12));
    const other = await opened(bytes);
    await other.kv.restore(await session.kv.save());
    expect(other.kv.length).toBe(ids.length + 11);
    const next = [...ids, ...made];
    const continued: number[] = [];
    for await (const { id } of other.generate({ ids: next }, { maxNewTokens: 4 })) continued.push(id);
    expect(continued).toEqual(greedy.slice(12, 16));
  }, 60_000);
});

/** Attention over two caches of 8 positions, with 4 heads that share 2. */
const lines = [
  "symbol P 0..8",
  "symbol S 1..8",
  `%0 = input "q" : f32[1, 4, S, 4]`,
  `%1 = input "k" : f32[1, 2, S, 4]`,
  `%2 = input "v" : f32[1, 2, S, 4]`,
  `%3 = input "start_pos" = [P] : i64[1]`,
  `%4 = state "kv.0.key" : f32[1, 2, 8, 4]`,
  `%5 = state "kv.0.value" : f32[1, 2, 8, 4]`,
  "%6 = kv.update(cache: %4, new: %1, start_pos: %3) : f32[1, 2, 8, 4]",
  "%7 = kv.update(cache: %5, new: %2, start_pos: %3) : f32[1, 2, 8, 4]",
  "%9 = const bool[1, 8] {1, 0, 1, 1, 1, 1, 1, 1}",
  `%8 = nn.sdpa(q: %0, k: %6, v: %7, start_pos: %3) {"scale":0.5,"causal":true,"softcap":0,"window":0} : f32[1, 4, S, 4]`,
  `output "y" %8`,
  "",
];

interface Form {
  readonly name: string;
  readonly isOneCall: boolean;
  readonly change: readonly [string, string];
  readonly capacity?: number;
}

const forms: readonly Form[] = [
  { name: "causal", isOneCall: true, change: ["", ""] },
  { name: "a scale of its own", isOneCall: true, change: [`"scale":0.5`, `"scale":0.75`] },
  { name: "a window", isOneCall: false, change: [`"window":0`, `"window":3`] },
  { name: "capped scores", isOneCall: false, change: [`"softcap":0`, `"softcap":2`] },
  { name: "a mask", isOneCall: false, change: ["start_pos: %3) {", "mask: %9, start_pos: %3) {"] },
  {
    name: "all of a cache",
    isOneCall: false,
    change: [`, start_pos: %3) {"scale":0.5,"causal":true`, `) {"scale":0.5,"causal":false`],
  },
  { name: "one cache for both", isOneCall: false, change: ["v: %7", "v: %6"] },
  {
    name: "a cache that is an output",
    isOneCall: false,
    change: [`output "y" %8`, `output "y" %8\noutput "k" %6`],
  },
  { name: "as many key heads as positions", isOneCall: false, change: ["2, 8, 4]", "2, 2, 4]"], capacity: 2 },
];

test.each(forms)("$name: one call is $isOneCall", async ({ isOneCall, change: [from, to], capacity = 8 }) => {
  const text = lines.map((line) => line.replace(from, to).replace(/[.]{2}8$/, `..${capacity}`));
  const graph = graphOf(text.join("\n"));
  const ops = lowerToKernels(graph, "llama").calls.map((call) => "op" in call && call.op);
  expect(ops.includes(kernel)).toBe(isOneCall);
  expect(ops.includes("aten::_softmax.out")).toBe(!isOneCall);
  const [ours, theirs] = [await runPortable(graph, "llama"), await runReference(graph)];
  let start = 0;
  for (const length of capacity === 8 ? [2, 1, 3, 1] : [1, 1]) {
    const rows = (heads: number, seed: number) => {
      const data = Array.from({ length: heads * 4 * length }, (_, i) => i + 5 * start + seed);
      return tensor(
        "f32",
        [1, heads, length, 4],
        data.map((n) => ((n * 29) % 17) / 8 - 1),
      );
    };
    const inputs = { q: rows(4, 0), k: rows(2, 3), v: rows(2, 7), start_pos: tensor("i64", [1], [start]) };
    const [actual, expected] = [await ours(inputs), await theirs(inputs)];
    expect(actual.y!.shape).toEqual(expected.y!.shape);
    for (const [i, value] of expected.y!.data.entries()) expect(actual.y!.data[i]).toBeCloseTo(value, 5);
    start += length;
  }
});

test("goes with portable programs only", async () => {
  const input = await openInput(`${folder}/hf-packed`);
  await expect(load(input, { customOps: "llama" })).rejects.toMatchObject({
    code: "option",
    message: expect.stringContaining("customOps"),
  });
});
