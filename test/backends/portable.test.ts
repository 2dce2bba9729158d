import { describe, expect, test } from "vitest";
import { schemas } from "../../src/backends/portable/aten.ts";
import { lowerToKernels, portableRefusals } from "../../src/backends/portable/lower.ts";
import { planMemory } from "../../src/backends/portable/memory.ts";
import { toMethod } from "../../src/backends/portable/method.ts";
import { mostTokens } from "../../src/backends/sizes.ts";
import { compile } from "../../src/compiler/compile.ts";
import { load, lower } from "../../src/compiler/lower.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { computedWeight } from "../../src/ir/weights.ts";
import { openInput } from "../../src/node.ts";
import type { OptionsInput } from "../../src/options.ts";
import { describeProgram, type ProgramDescription } from "../../src/serialize/describe-program.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { attribute, modelSource, node, value } from "../onnx/build-model.ts";
import { unpacked } from "../support/archive.ts";
import { dynamicLinear } from "../support/exporters/bitlinears.ts";
import { dynamoLlama } from "../support/exporters/dynamo.ts";
import { recognise, runCompiled } from "../support/exporters/run.ts";
import { llamaWeights } from "../support/exporters/weights.ts";
import { graphOf, runPortable, runReference, writePortable } from "./portable-run.ts";

const folder = unpacked("bard.tar.br");

async function program(options: OptionsInput = {}): Promise<Uint8Array> {
  const sink = memorySink();
  const input = await openInput(`${folder}/hf-packed`);
  await compile(input, sink, { backend: "portable", maxSeqLen: 1024, ...options });
  return sink.bytes();
}

const described = async (bytes: Uint8Array): Promise<ProgramDescription> =>
  describeProgram(await readProgram(bytesSource("program", bytes)));

describe("a program of portable kernels", async () => {
  const bytes = await program();
  const { methods, constantSegment, segments } = await described(bytes);
  const method = methods.find(({ name }) => name === "forward")!;
  const tensors = method.values.flatMap((value) => (value.type === "Tensor" ? [value] : []));

  test("has no delegate, and calls that have every argument of their schema, the out and the result", () => {
    expect(method.delegates).toEqual([]);
    expect(method.chains.length).toBe(1);
    for (const instruction of method.chains[0]!.instructions) {
      if (instruction.type !== "KernelCall") throw new Error(`a ${instruction.type} is none of ours`);
      const { name, overload } = method.operators[instruction.operator]!;
      const key = (overload === "" ? name : `${name}.${overload}`) as keyof typeof schemas;
      const count = Object.keys(schemas[key]).length;
      const { args } = instruction;
      if (key === "aten::index_put_") {
        expect(args.length).toBe(count + 1);
        expect(args.at(-1)).toBe(args[0]);
      } else if (method.values[args.at(-1)!]!.type === "Int") {
        expect(args.length).toBe(count + 1);
      } else {
        expect(args.length).toBe(count + 2);
        expect(args.at(-1)).toBe(args.at(-2));
      }
    }
  });

  test("takes tokens of any number up to a bound and a position, and returns logits", () => {
    const values = [...method.inputs, ...method.outputs].map((i) => method.values[i]!);
    const typed = values.map((value) => {
      if (value.type !== "Tensor") throw new Error(`${value.type} is no tensor`);
      return [value.extra?.name, value.scalarType, value.sizes, value.dynamism];
    });
    expect(typed).toEqual([
      ["tokens", "LONG", [1, mostTokens], "DYNAMIC_BOUND"],
      ["start_pos", "LONG", [1], "STATIC"],
      ["logits", "FLOAT", [1, 2048], "STATIC"],
    ]);
    const limits = ["get_max_seq_len", "get_max_context_len"].map(
      (name) => methods.find((each) => each.name === name)!.values[0]!,
    );
    expect(limits).toEqual([
      { type: "Int", value: mostTokens },
      { type: "Int", value: 1024 },
    ]);
  });

  test("keeps caches in a buffer of their own", () => {
    const caches = tensors.filter(({ allocation }) => allocation?.memory === 2);
    const named = caches.flatMap(({ extra }) => extra?.name ?? []).sort();
    expect(named).toEqual([0, 1, 2, 3].flatMap((layer) => [`kv.${layer}.key`, `kv.${layer}.value`]));
    const bytesOfOne = 2 * 1024 * 64 * 4;
    expect(method.bufferSizes[2]).toBe(8 * bytesOfOne);
    expect(new Set(caches.map(({ allocation }) => allocation!.offset % bytesOfOne))).toEqual(new Set([0]));
    expect(caches.every(({ dynamism }) => dynamism === "STATIC")).toBe(true);
  });

  test("has aligned constants within their segment, ternary codes in bytes and the head's table once", () => {
    const { segment, offsets } = constantSegment!;
    const constants = tensors.filter(({ dataBuffer }) => dataBuffer > 0);
    const widths: Readonly<Record<string, number>> = { CHAR: 1, HALF: 2, BFLOAT16: 2, FLOAT: 4, LONG: 8 };
    let total = 0;
    for (const { dataBuffer, sizes, scalarType, allocation } of constants) {
      expect(allocation).toBeUndefined();
      const size = sizes.reduce((product, length) => product * length, 1) * widths[scalarType]!;
      expect(offsets[dataBuffer]! % 16).toBe(0);
      expect(offsets[dataBuffer]! + size).toBeLessThanOrEqual(segments[segment]!.size);
      total += size;
    }
    expect(constants.filter(({ scalarType }) => scalarType === "CHAR").length).toBe(28);
    // Nothing but constants and what aligns them.
    expect(segments[segment]!.size - total).toBeLessThan(16 * offsets.length);
  });

  test("names elements of lists before the lists", () => {
    for (const [i, value] of method.values.entries())
      if (value.type === "TensorList" || value.type === "OptionalTensorList")
        for (const item of value.items) expect(item).toBeLessThan(i);
  });

  test("is the same bytes each time", async () => {
    expect(Buffer.compare(await program(), bytes)).toBe(0);
  });
});

test("without a cache one call takes as many tokens as there is room for", async () => {
  const sink = memorySink();
  const input = await openInput(`${folder}/onnx/dynamo-nokv.onnx`);
  await compile(input, sink, { backend: "portable", maxSeqLen: 1024 });
  const { methods } = await described(sink.bytes());
  const method = methods.find(({ name }) => name === "forward")!;
  expect(method.values[method.inputs[0]!]).toMatchObject({ sizes: [1, 1024], dynamism: "DYNAMIC_BOUND" });
  expect(methods.find(({ name }) => name === "get_max_seq_len")!.values[0]).toEqual({
    type: "Int",
    value: 1024,
  });
});

test("memory of values that live at the same time does not overlap, and shares what it can", async () => {
  const loaded = await load(await openInput(`${folder}/hf-packed`), { backend: "portable", maxSeqLen: 64 });
  const graph = lowerToKernels((await lower(loaded, "packed")).graph);
  const plan = planMemory(graph);
  const widths: Readonly<Record<string, number>> = { f32: 4, i64: 8, bool: 1, bf16: 2, f16: 2 };
  const lives = new Map<number, { from: number; to: number; first: number; last: number }>();
  const use = (value: unknown, at: number): void => {
    if (Array.isArray(value)) for (const item of value) use(item, at);
    if (typeof value !== "object" || value === null || !("storage" in value)) return;
    const each = value as (typeof graph.inputs)[number];
    if (each.storage.kind !== "arena") return;
    const from = plan.place(each)!.offset;
    const sizes = each.shape.map((size) => (typeof size === "number" ? size : size.max));
    const size = sizes.reduce((product, length) => product * length, widths[each.dtype]!);
    const known = lives.get(each.id) ?? { from, to: from + size, first: at, last: at };
    lives.set(each.id, { ...known, last: at });
  };
  use([...graph.inputs], -1);
  for (const [at, call] of graph.calls.entries()) if ("op" in call) use([...call.args, ...call.results], at);
  use([...graph.outputs], graph.calls.length);
  const all = [...lives.values()];
  const clashes = all.filter((a, i) =>
    all.some((b, j) => j > i && a.first <= b.last && b.first <= a.last && a.from < b.to && b.from < a.to),
  );
  expect(clashes).toEqual([]);
  expect(Math.max(...all.map(({ to }) => to))).toBeLessThanOrEqual(plan.bufferSizes[1]!);
  expect(plan.bufferSizes[1]!).toBeLessThan(all.reduce((sum, { from, to }) => sum + to - from, 0) / 20);
});

test("a large table is widened in pieces that lie within it", () => {
  const table = computedWeight("table", "f16", [40_000, 1024], () => {
    throw new Error("a table is not read to be placed");
  });
  const graph = parseGraph(
    [
      `%0 = input "ids" : i64[1, 2]`,
      `%1 = const @"table" : f16[40000, 1024]`,
      "%2 = nn.embedding(table: %1, ids: %0) : f32[1, 2, 1024]",
      "%3 = nn.linear(x: %2, weight: %1) : f32[1, 2, 40000]",
      `output "y" %3`,
      "",
    ].join("\n"),
    coreOps,
    () => table,
  );
  const { method, constants, constantOffsets } = toMethod("forward", lowerToKernels(graph));
  expect(constants.map(({ offset, size }) => [offset, size])).toEqual([[0, 40_000 * 1024 * 2]]);
  const rows = 2 ** 25 / 1024;
  expect(constantOffsets).toEqual([0, 0, rows * 1024 * 2]);
  const pieces = method.values.flatMap((value) =>
    value.type === "Tensor" && value.dataBuffer > 0 ? [[value.dataBuffer, value.sizes[0]]] : [],
  );
  expect(pieces).toEqual([
    [1, 40_000],
    [1, rows],
    [2, 40_000 - rows],
  ]);
});

test("rows of a cache are written at their positions and stay for the next call", async () => {
  const graph = graphOf(
    [
      "symbol P 0..6",
      "symbol S 1..6",
      `%0 = input "x" : f32[1, 2, S, 4]`,
      `%1 = input "start_pos" = [P] : i64[1]`,
      `%2 = state "kv.0.key" : f32[1, 2, 6, 4]`,
      `%3 = kv.update(cache: %2, new: %0, start_pos: %1) : f32[1, 2, 6, 4]`,
      `%4 = nn.sdpa(q: %0, k: %3, v: %3, start_pos: %1) {"scale":0.5,"causal":true,"softcap":0,"window":3} : f32[1, 2, S, 4]`,
      `output "y" %4`,
      "",
    ].join("\n"),
  );
  const [ours, theirs] = [await runPortable(graph), await runReference(graph)];
  let start = 0;
  for (const length of [2, 1, 3]) {
    const data = Array.from({ length: 8 * length }, (_, i) => (((i + 5 * start) * 29) % 17) / 8 - 1);
    const inputs = { x: tensor("f32", [1, 2, length, 4], data), start_pos: tensor("i64", [1], [start]) };
    const [actual, expected] = [await ours(inputs), await theirs(inputs)];
    expect(actual.y!.shape).toEqual(expected.y!.shape);
    for (const [i, value] of expected.y!.data.entries()) expect(actual.y!.data[i]).toBeCloseTo(value, 5);
    start += length;
  }
});

test("an integer range follows from sizes", async () => {
  const graph = graphOf(
    [
      "symbol S 1..6",
      `%0 = input "x" : f32[S]`,
      "%1 = const i64[] {2}",
      "%2 = dims [S + 4] : i64[]",
      "%3 = range(start: %1, limit: %2, delta: %1) : i64[floordiv(S + 3, 2)]",
      `output "y" %3`,
      "",
    ].join("\n"),
  );
  const { y } = await (await runPortable(graph))({ x: tensor("f32", [5], [0, 0, 0, 0, 0]) });
  expect([...y!.data]).toEqual([2, 4, 6, 8]);
});

test("constants without elements are in a segment that has bytes", async () => {
  const graph = graphOf(["%0 = const f32[0] {}", 'output "y" %0', ""].join("\n"));
  const { segments } = await described(await writePortable(graph));
  expect(segments.map(({ size }) => size)).toEqual([1]);
  const { y } = await (await runPortable(graph))({});
  expect(y!.shape).toEqual([0]);
});

test("what portable kernels cannot compute is refused with all reasons at once", () => {
  const graph = graphOf(
    [
      `%0 = input "x" : f64[1, 6]`,
      `%1 = input "z" : i64[1, 0]`,
      "%2 = const f64[1] {1}",
      `%3 = nn.relu2(x: %0) : f64[1, 6]`,
      `%4 = mod(a: %3, b: %2) : f64[1, 6]`,
      `%5 = reduce_max(x: %1) {"axes":[1],"keepdims":false} : i64[1]`,
      `output "y" %4`,
      `output "w" %5`,
      "",
    ].join("\n"),
  );
  expect(portableRefusals(graph).map(({ op, why }) => `${op}: ${why}`)).toEqual([
    "nn.relu2: x must be f32 or narrower, and is f64",
    "mod: its kernel rounds what remains of f64 to f32",
    "reduce_max: it has no elements, of which none is the best",
  ]);
});

test("a model whose layers multiply integers computes what it did", async () => {
  const model = await dynamoLlama(llamaWeights({ isTernary: true }), { linear: dynamicLinear });
  const planned = await (await recognise(model, { backend: "portable" })).finish();
  const { graph } = planned;
  const products = graph.nodes.filter(({ op }) => op === "matmul").map((each) => each.arg("a").type.dtype);
  expect(new Set(products)).toEqual(new Set(["i32"]));
  const [ours, theirs] = [await runPortable(graph), await runCompiled(planned)];
  const ids = [3, 1, 4, 15, 9, 26];
  const tokens = tensor("i64", [1, ids.length], ids);
  const { logits } = await ours({ tokens, start_pos: tensor("i64", [1], [0]) });
  const expected = theirs(ids);
  expect(logits!.shape).toEqual(expected.shape);
  logits!.data.forEach((value, i) => {
    expect(value).toBeCloseTo(expected.data[i]!, 4);
  });
});

test("a model that has such ops is not compiled", async () => {
  const f64 = 11;
  const nodes = [node("Mod", ["x", "x"], ["m"], [attribute("fmod", 0)]), node("Relu", ["m"], ["y"])];
  const graph = { node: nodes, input: [value("x", f64, [2])], output: [value("y", f64, [2])] };
  const compiling = compile({ model: modelSource({ graph }) }, memorySink(), { backend: "portable" });
  await expect(compiling).rejects.toMatchObject({ code: "not-portable" });
  await expect(compiling).rejects.toThrow(/mod: its kernel rounds/);
});
