import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { schemas } from "../../src/backends/vulkan/operators.ts";
import { compile } from "../../src/compiler/compile.ts";
import { openInput } from "../../src/node.ts";
import type { OptionsInput } from "../../src/options.ts";
import { readRange } from "../../src/serialize/blob.ts";
import { describeProgram } from "../../src/serialize/describe-program.ts";
import { readProgram } from "../../src/serialize/program-reader.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { readVulkanBlob } from "../../src/serialize/vulkan-blob.ts";
import type { VulkanGraph, VulkanTensor } from "../../src/serialize/vulkan-graph.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { unpacked } from "../support/archive.ts";
import { compare, namedGraph, numbers, product } from "./vulkan-run.ts";

const folder = unpacked("bard.tar.br");
const layers = 4;

async function compiled(options: OptionsInput = {}, path = "hf-packed") {
  const sink = memorySink();
  const input = await openInput(`${folder}/${path}`);
  const { report } = await compile(input, sink, { backend: "vulkan", maxSeqLen: 1024, ...options });
  const bytes = sink.bytes();
  const file = await readProgram(bytesSource("program", bytes));
  const blobs = await Promise.all(file.delegates.map(({ data }) => readVulkanBlob(data, "program")));
  return { bytes, report, file, graphs: blobs.map(({ graph }) => graph), description: describeProgram(file) };
}

const tensorsOf = ({ values }: VulkanGraph) =>
  values.flatMap((value, at) => (value.type === "VkTensor" ? [{ ...value, at }] : []));
const tensorAt = ({ values }: VulkanGraph, at: number): VulkanTensor => {
  const value = values[at]!;
  if (value.type !== "VkTensor") throw new Error(`value ${at} is ${value.type}`);
  return value;
};

describe("a program with a delegate for ExecuTorch's GPU backends", async () => {
  const { bytes, report, file, graphs, description } = await compiled();
  const { methods } = description;
  const forward = methods.find(({ name }) => name === "forward")!;
  const graph = graphs[0]!;
  const opsOf = (name: string) => graph.calls.filter(({ op }) => op === name);

  test("is one delegate, which one instruction calls with all that the method takes and returns", () => {
    expect(forward.delegates).toEqual([
      { id: "VulkanBackend", location: "SEGMENT", index: expect.any(Number), specs: expect.any(Array) },
    ]);
    expect(forward.chains.map(({ instructions }) => instructions)).toEqual([
      [{ type: "DelegateCall", delegate: 0, args: [...forward.inputs, ...forward.outputs] }],
    ]);
    expect(forward.operators).toEqual([]);
    expect(report.partition).toEqual({ groups: { "delegate 0": expect.any(Number) }, refused: [] });
    expect(report.warnings.map(({ code }) => code)).toEqual(["beyond-training"]);
  });

  test("takes ids and positions as LONG, which are INT32 in the delegate, and returns logits", () => {
    const outer = [...forward.inputs, ...forward.outputs].map((at) => {
      const value = forward.values[at]!;
      if (value.type !== "Tensor") throw new Error(`${value.type} is no tensor`);
      return [value.extra?.name, value.scalarType, value.sizes, value.dynamism];
    });
    expect(outer).toEqual([
      ["tokens", "LONG", [1, 512], "DYNAMIC_BOUND"],
      ["start_pos", "LONG", [1], "STATIC"],
      ["logits", "FLOAT", [1, 2048], "STATIC"],
    ]);
    const inner = [...graph.inputs, ...graph.outputs].map((at) => tensorAt(graph, at));
    expect(inner.map(({ dataType, dims }) => [dataType, dims])).toEqual([
      ["INT32", [1, 512]],
      ["INT32", [1]],
      ["FLOAT32", [1, 2048]],
    ]);
  });

  test("says what ExecuTorch's LLM runner asks", () => {
    const asked = Object.fromEntries(
      methods
        .filter(({ name }) => name !== "forward")
        .map(({ name, values, outputs }) => [
          name,
          outputs.map((at) => (values[at] as { value: unknown }).value),
        ]),
    );
    expect(asked).toEqual({
      get_bos_id: [0],
      get_eos_ids: [1],
      get_max_context_len: [1024],
      get_max_seq_len: [512],
      get_n_layers: [layers],
      get_vocab_size: [2048],
      use_kv_cache: [true],
      use_sdpa_with_kv_cache: [false],
      enable_dynamic_shape: [true],
    });
  });

  test("has tensors in dense buffers, of 32 bits where they are not constant", () => {
    for (const { storage, layout, dataType, stagingDataType, constant, dims, memoryObject } of tensorsOf(
      graph,
    )) {
      expect([storage, layout, stagingDataType]).toEqual(["BUFFER", "TENSOR_WIDTH_PACKED", "UNSET"]);
      expect(constant === undefined ? ["FLOAT32", "INT32"] : ["FLOAT32", "UINT8"]).toContain(dataType);
      expect(dims.length).toBeGreaterThan(0);
      expect(dims.length).toBeLessThan(5);
      if (constant !== undefined) expect(memoryObject).toBeUndefined();
    }
    // A shape for each that a call with the largest sizes has.
    for (const op of ["storage", "layout"] as const) expect(graph[op]).toMatch(/^DEFAULT_/);
  });

  test("calls ops of the table alone, with all their arguments and the result", () => {
    for (const { op, args, id } of graph.calls) {
      expect(Object.keys(schemas)).toContain(op);
      expect(args.length).toBe(Object.keys(schemas[op as keyof typeof schemas]).length + 1);
      expect(graph.calls[id]!.op).toBe(op);
    }
    expect(opsOf("et_vk.linear_q4gsw.default").length).toBe(7 * layers);
    expect(opsOf("sdpa_with_kv_cache.default").length).toBe(layers);
    expect(opsOf("et_vk.apply_rotary_emb_hf.default").length).toBe(layers);
    // What goes into a layer, comes out of attention, and into and out of the feed-forward.
    expect(opsOf("et_vk.rms_norm.default").length).toBe(4 * layers + 1);
    expect(opsOf("aten.round.default").length).toBe(4 * layers);
    expect(opsOf("aten.linear.default").length).toBe(1);
    // Neither queries, keys, values nor what attention returns is moved.
    expect(opsOf("aten.permute_copy.default")).toEqual([]);
  });

  test("reads start_pos as an integer, once, and so does what depends on it", () => {
    const [read, ...others] = opsOf("et_vk.select_as_symint.default");
    expect(others).toEqual([]);
    expect(read!.args[0]).toBe(graph.inputs[1]);
    const start = read!.args.at(-1)!;
    expect(graph.values[start]!.type).toBe("SymInt");
    for (const { args } of opsOf("sdpa_with_kv_cache.default")) expect(args[5]).toBe(start);
    for (const { args } of opsOf("et_vk.apply_rotary_emb_hf.default")) expect(args[4]).toBe(start);
  });

  test("has a value for every cache, and one piece of zeros for all", async () => {
    const caches = opsOf("sdpa_with_kv_cache.default").flatMap(({ args }) => args.slice(3, 5));
    expect(new Set(caches).size).toBe(2 * layers);
    const tensors = caches.map((at) => tensorAt(graph, at));
    for (const { dims, dataType } of tensors) expect([dataType, dims]).toEqual(["FLOAT32", [1, 1024, 2, 64]]);
    const [constant, ...more] = new Set(tensors.map((each) => each.constant!));
    expect(more).toEqual([]);
    const { key, length } = graph.constants[constant!] as { key: string; length: number };
    expect(length).toBe(4 * 1024 * 2 * 64);
    const zeros = await readRange("program", file.namedData.get(key)!);
    expect(zeros.every((byte) => byte === 0)).toBe(true);
    // Nothing else may write to what a cache names.
    const uses = graph.calls.flatMap(({ args }) => args).filter((at) => caches.includes(at));
    expect(uses.length).toBe(2 * layers);
  });

  test("names data by its SHA-256", async () => {
    expect(graph.constants.length).toBeGreaterThan(7 * layers);
    for (const constant of graph.constants) {
      if (!("key" in constant)) throw new Error("there is data in the delegate itself");
      const data = await readRange("program", file.namedData.get(constant.key)!);
      expect(constant.length).toBe(data.length);
      expect(createHash("sha256").update(data).digest("hex")).toBe(constant.key);
    }
    expect(new Set(file.namedData.keys()).size).toBe(description.namedData.length);
  });

  test("has ternary weights in four bits and a tied table once", () => {
    const lengthOf = (at: number) => graph.constants[tensorAt(graph, at).constant!]!.length;
    const shapes = opsOf("et_vk.linear_q4gsw.default").map(({ args: [, weights, scales, group] }) => {
      const { dims, dataType } = tensorAt(graph, weights!);
      expect([dataType, lengthOf(weights!)]).toEqual(["UINT8", dims[0]! * dims[1]!]);
      expect(tensorAt(graph, scales!).dims).toEqual([1, dims[0]!]);
      expect(graph.values[group!]).toEqual({ type: "Int", value: 2 * dims[1]! });
      return dims[0]! * dims[1]! * 2;
    });
    const weights = shapes.reduce((sum, count) => sum + count, 0);
    const [head] = opsOf("aten.linear.default");
    const [table] = opsOf("aten.embedding.default");
    expect(tensorAt(graph, head!.args[1]!).constant).toBe(tensorAt(graph, table!.args[0]!).constant);
    expect(lengthOf(head!.args[1]!)).toBe(4 * 2048 * 256);
    expect(report.sizes).toMatchObject({
      embedding: 4 * 2048 * 256,
      bitsPerTernaryWeight: expect.closeTo(4, 2),
    });
    expect(report.sizes!.ternary).toBeGreaterThanOrEqual(weights / 2);
    expect(report.sizes!.ternary).toBeLessThan(weights / 2 + 1000);
    const data = graph.constants.reduce((sum, { length }) => sum + length, 0);
    expect(bytes.length).toBeGreaterThan(data);
    expect(bytes.length).toBeLessThan(data + 400_000);
  });

  test("is the same bytes each time", async () => {
    expect(Buffer.compare((await compiled()).bytes, bytes)).toBe(0);
  });
});

/** Each tensor's first write and last use, by the numbers of calls. What is there before the first call begins at -1. */
function livesOf(graph: VulkanGraph): Map<number, { first: number; last: number }> {
  const lives = new Map<number, { first: number; last: number }>();
  const use = (at: number, when: number): void => {
    const value = graph.values[at]!;
    if (value.type === "ValueList") for (const item of value.items) use(item, when);
    if (value.type !== "VkTensor") return;
    const known = lives.get(at);
    lives.set(at, { first: known?.first ?? when, last: when });
  };
  for (const at of graph.inputs) use(at, -1);
  graph.calls.forEach(({ args }, when) => {
    for (const at of args) use(at, when);
  });
  for (const at of graph.outputs) use(at, graph.calls.length);
  return lives;
}

/** Pairs of tensors of one memory object that are alive at once; a call's result is alive beside what it reads. */
function clashesOf(graph: VulkanGraph): string[] {
  const lives = livesOf(graph);
  const shared = [...lives].flatMap(([at, life]) => {
    const { memoryObject } = tensorAt(graph, at);
    return memoryObject === undefined ? [] : [{ at, memoryObject, ...life }];
  });
  return shared.flatMap((a, i) =>
    shared
      .slice(i + 1)
      .filter((b) => a.memoryObject === b.memoryObject && a.first <= b.last && b.first <= a.last)
      .map((b) => `${a.at} and ${b.at} in ${a.memoryObject}`),
  );
}

describe("memory of a delegate", () => {
  test.each([
    ["hf-packed", {}],
    ["hf-packed", { logits: "all", embedding: "q4" }],
    ["onnx/dynamo-nokv.onnx", { maxSeqLen: 64 }],
  ] as const)("of %s %j: no two tensors that are alive at once share it", async (path, options) => {
    const { graphs } = await compiled(options, path);
    for (const graph of graphs) {
      expect(clashesOf(graph)).toEqual([]);
      const shared = tensorsOf(graph).filter(({ memoryObject }) => memoryObject !== undefined);
      const objects = new Set(shared.map(({ memoryObject }) => memoryObject));
      // Layers use what the ones before them did.
      expect(objects.size).toBeLessThan(shared.length / 8);
      // An object is as large as its largest tensor.
      const sizeOf = (dims: readonly number[]) => dims.reduce((count, size) => count * size, 4);
      const largest = [...objects].map((object) =>
        Math.max(...shared.filter((each) => each.memoryObject === object).map(({ dims }) => sizeOf(dims))),
      );
      const apart = shared.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
      expect(largest.reduce((sum, size) => sum + size, 0)).toBeLessThan(apart / 8);
    }
  });

  test("inputs, outputs and what keeps its elements share it with nothing", async () => {
    const { graphs } = await compiled();
    const graph = graphs[0]!;
    const own = [
      ...graph.inputs,
      ...graph.outputs,
      ...graph.calls.flatMap(({ op, args }) => (op === "et_vk.prepack.default" ? [args.at(-1)!] : [])),
    ];
    expect(own.length).toBe(3 + 2);
    expect(own.map((at) => tensorAt(graph, at).memoryObject)).toEqual(own.map(() => undefined));
  });

  test("a result that is used late, twice, or never keeps its own until then", async () => {
    const x = "f32[2, S, 4]";
    const lines = [
      "symbol S 1..8",
      `%x = input "x" : ${x}`,
      `%a = neg(x: %x) : ${x}`,
      `%b = exp(x: %a) : ${x}`,
      `%n = abs(x: %b) : ${x}`,
      `%c = sigmoid(x: %b) : ${x}`,
      `%d = mul(a: %c, b: %a) : ${x}`,
      `%e = tanh(x: %d) : ${x}`,
      `%f = concat(inputs: [%e, %a, %d]) {"axis":1} : f32[2, 3*S, 4]`,
      `%g = add(a: %e, b: %e) : ${x}`,
      `output "f" %f`,
      `output "g" %g`,
      ...product,
    ];
    const { error, graphs } = await compare(namedGraph(lines));
    expect(error).toBeLessThan(1e-6);
    expect(clashesOf(graphs[0]!)).toEqual([]);
  });
});

describe("tokens of one call", () => {
  test("are so few that every device can compute the widest tensor", async () => {
    const [rows, most] = [2 ** 18, 65_535 * 64];
    const lines = [
      "symbol P 0..64",
      "symbol S 1..64",
      `%tokens = input "tokens" : i64[1, S]`,
      `%p = input "start_pos" = [P] : i64[1]`,
      `%c = state "kv.0.key" : f32[1, 1, 64, 4]`,
      `%t = const f32[8, 4] {${numbers(32)}}`,
      "%x = nn.embedding(table: %t, ids: %tokens) : f32[1, S, 4]",
      "%d = dims [1, 1, S, 4] : i64[4]",
      "%k = reshape(x: %x, shape: %d) : f32[1, 1, S, 4]",
      "%u = kv.update(cache: %c, new: %k, start_pos: %p) : f32[1, 1, 64, 4]",
      `%w = const f32[8, 4] {${numbers(32)}}`,
      "%h = nn.linear(x: %x, weight: %w) : f32[1, S, 8]",
      `%e = dims [1, S, 8, ${rows / 8}] : i64[4]`,
      `%f = dims [1, S, 8, 1] : i64[4]`,
      "%r = reshape(x: %h, shape: %f) : f32[1, S, 8, 1]",
      `%v = expand(x: %r, shape: %e) : f32[1, S, 8, ${rows / 8}]`,
      `%y = reduce_mean(x: %v) {"axes":[-1],"keepdims":false} : f32[1, S, 8]`,
      `output "y" %y`,
      `output "cache" %u`,
    ];
    const calls = [
      { S: Math.floor(most / rows), P: 0 },
      { S: 2, P: 15 },
    ];
    const { error, description } = await compare(namedGraph(lines), { calls, range: [0, 7] });
    expect(error).toBeLessThan(2e-6);
    const forward = description.methods.find(({ name }) => name === "forward")!;
    expect(forward.values[forward.inputs[0]!]).toMatchObject({ sizes: [1, Math.floor(most / rows)] });
    const asked = description.methods.find(({ name }) => name === "get_max_seq_len")!;
    expect(asked.values).toEqual([{ type: "Int", value: 15 }]);
  });

  test("are all that there is room for where there is no cache", async () => {
    const { graphs, description } = await compiled({}, "onnx/dynamo-nokv.onnx");
    expect(tensorAt(graphs[0]!, graphs[0]!.inputs[0]!).dims).toEqual([1, 1024]);
    const asked = description.methods.find(({ name }) => name === "get_max_seq_len")!;
    expect(asked.values).toEqual([{ type: "Int", value: 1024 }]);
  });
});
