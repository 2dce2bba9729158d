import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import type { Kernel, OpSignature } from "../../src/ir/ops/op.ts";
import { packTernary } from "../../src/packing/index.ts";
import { createCpuExecutor } from "../../src/runtime/cpu/executor.ts";
import { cpuKernelsByName } from "../../src/runtime/cpu/kernels/index.ts";
import type { ProgramGraph, ProgramNode } from "../../src/runtime/graph.ts";
import { addDims, type Dim, multiplyDims, symbol } from "../../src/tensor/dim.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";

const seq = symbol("seq", 4, 1);
const past = symbol("past", 8);

type Values = Record<string, readonly [DType, readonly Dim[]]>;
interface Sketch {
  readonly values: Values;
  readonly inputs: Readonly<Record<string, readonly Dim[] | undefined>>;
  readonly states?: readonly string[];
  readonly constants?: Readonly<Record<string, string | Tensor>>;
  readonly dims?: Readonly<Record<string, readonly Dim[]>>;
  /** op, arguments, attributes, results */
  readonly nodes: readonly (readonly [
    string,
    Readonly<Record<string, string | readonly string[]>>,
    ProgramNode["attrs"],
    readonly string[],
  ])[];
  readonly outputs: readonly string[];
}

/** A graph in which values go by names. */
function graphOf(sketch: Sketch): ProgramGraph {
  const names = Object.keys(sketch.values);
  const at = (name: string): number => {
    expect(names).toContain(name);
    return names.indexOf(name);
  };
  const many = (arg: string | readonly string[]) => (typeof arg === "string" ? at(arg) : arg.map(at));
  return {
    values: Object.values(sketch.values).map(([dtype, shape]) => ({ dtype, shape })),
    inputs: Object.entries(sketch.inputs).map(([name, contents]) => ({
      name,
      value: at(name),
      ...(contents && { contents }),
    })),
    outputs: sketch.outputs.map((name) => ({ name, value: at(name) })),
    states: (sketch.states ?? []).map((name) => ({ name, value: at(name) })),
    constants: Object.entries(sketch.constants ?? {}).map(([name, constant]) =>
      typeof constant === "string"
        ? { value: at(name), key: constant }
        : { value: at(name), inline: constant },
    ),
    dims: Object.entries(sketch.dims ?? {}).map(([name, sizes]) => ({ value: at(name), sizes })),
    nodes: sketch.nodes.map(([op, args, attrs, results]) => ({
      op,
      args: Object.fromEntries(Object.entries(args).map(([name, arg]) => [name, many(arg)])),
      attrs,
      results: results.map(at),
      source: `test:${op}`,
    })),
  };
}

const noConstants = async (key: string): Promise<Tensor> => {
  throw new Error(`there is no constant ${key}`);
};

/** Embeds tokens, keeps them in a cache, and lays the sum of all positions so far out as [1, seq, 2, 1]. */
const counter = graphOf({
  values: {
    tokens: ["i64", [1, seq]],
    start_pos: ["i64", [1]],
    cache: ["f32", [1, 1, 8, 2]],
    table: ["f16", [3, 2]],
    embedded: ["f32", [1, seq, 2]],
    headShape: ["i64", [4]],
    rows: ["f32", [1, 1, seq, 2]],
    updated: ["f32", [1, 1, 8, 2]],
    summed: ["f32", [1, 1, 2]],
    zero: ["i64", [1]],
    end: ["i64", [1]],
    visible: ["f32", [1, 1, addDims(past, seq), 2]],
    wideShape: ["i64", [3]],
    wide: ["f32", [1, seq, 2]],
  },
  inputs: { tokens: undefined, start_pos: [past] },
  states: ["cache"],
  constants: { table: "table", zero: tensor("i64", [1], [0]) },
  dims: { headShape: [1, 1, seq, 2], end: [addDims(past, seq)], wideShape: [1, seq, 2] },
  nodes: [
    ["nn.embedding", { table: "table", ids: "tokens" }, {}, ["embedded"]],
    ["reshape", { x: "embedded", shape: "headShape" }, {}, ["rows"]],
    ["kv.update", { cache: "cache", new: "rows", start_pos: "start_pos" }, {}, ["updated"]],
    ["slice", { x: "updated", starts: "zero", ends: "end" }, { axes: [2], steps: [1] }, ["visible"]],
    ["reduce_sum", { x: "visible" }, { axes: [2], keepdims: false }, ["summed"]],
    ["expand", { x: "summed", shape: "wideShape" }, {}, ["wide"]],
  ],
  outputs: ["wide", "updated"],
});
const loadTable = async (key: string): Promise<Tensor> => {
  expect(key).toBe("table");
  return tensor("f16", [3, 2], [1, 10, 2, 20, 3, 30]);
};
const feed = (ids: readonly number[], start: number) => ({
  tokens: tensor("i64", [1, ids.length], ids),
  start_pos: tensor("i64", [1], [start]),
});
const diagnosticsOf = (run: () => unknown): readonly string[] => {
  try {
    run();
  } catch (error) {
    if (error instanceof BitnetcError)
      return error.diagnostics.map(({ code, message }) => `${code}: ${message}`);
    throw error;
  }
  return [];
};

describe("a graph with a cache", () => {
  test("keeps its state from run to run, until it is reset", async () => {
    const executor = await createCpuExecutor(counter, { loadConstant: loadTable });
    expect(executor.run(feed([0, 1], 0)).wide).toEqual(tensor("f32", [1, 2, 2], [3, 30, 3, 30]));
    expect(executor.run(feed([2], 2)).wide).toEqual(tensor("f32", [1, 1, 2], [6, 60]));
    expect([...executor.states.get("cache")!.data]).toEqual([1, 10, 2, 20, 3, 30, ...Array(10).fill(0)]);
    // positions may be written again
    expect(executor.run(feed([0], 1)).wide!.data).toEqual(new Float32Array([2, 20]));
    executor.reset();
    expect([...executor.states.get("cache")!.data]).toEqual(Array(16).fill(0));
    expect(executor.run(feed([1], 1)).wide!.data).toEqual(new Float32Array([2, 20]));
  });

  test("outputs stay as they are when the state changes", async () => {
    const executor = await createCpuExecutor(counter, { loadConstant: loadTable });
    const { updated } = executor.run(feed([0], 0));
    executor.run(feed([2], 0));
    expect([...updated!.data.slice(0, 2)]).toEqual([1, 10]);
    updated!.data.fill(7);
    expect([...executor.states.get("cache")!.data.slice(0, 2)]).toEqual([3, 30]);
  });

  test("says in a sentence when the cache is full or an id unknown", async () => {
    const executor = await createCpuExecutor(counter, { loadConstant: loadTable });
    expect(diagnosticsOf(() => executor.run(feed([0, 0], 7)))).toEqual([
      "run-failed: kv.update: Positions 7 to 8 do not fit a key/value cache of 8 positions.",
    ]);
    expect(diagnosticsOf(() => executor.run(feed([5], 0)))).toEqual([
      "run-failed: nn.embedding: Id 5 is outside the vocabulary, whose ids are 0 to 2.",
    ]);
  });

  test("says everything that is wrong with the inputs at once", async () => {
    const executor = await createCpuExecutor(counter, { loadConstant: loadTable });
    const wrong = { tokens: tensor("i32", [1, 2]), start: tensor("i64", [1]) };
    expect(diagnosticsOf(() => executor.run(wrong))).toEqual([
      "program-input: Input tokens is i32, but must be i64.",
      "program-input: Input start_pos is missing.",
      "program-input: Input start is not one of tokens, start_pos.",
    ]);
    expect(diagnosticsOf(() => executor.run(feed([0, 0, 0, 0, 0], 9)))).toEqual([
      "program-input: Input tokens has size 5 on axis 1, but must have seq with seq from 1 to 4.",
      "program-input: Input start_pos has the element 9 at 0, but must have past with past from 0 to 8.",
    ]);
    expect(diagnosticsOf(() => executor.run(feed([], 0)))).toEqual([
      "program-input: Input tokens has size 0 on axis 1, but must have seq with seq from 1 to 4.",
    ]);
    const flat = { ...feed([0], 0), tokens: tensor("i64", [2]) };
    expect(diagnosticsOf(() => executor.run(flat))).toEqual([
      "program-input: Input tokens is [2], but must be [1, seq].",
    ]);
    const batch = { ...feed([0], 0), tokens: tensor("i64", [2, 1]) };
    expect(diagnosticsOf(() => executor.run(batch))).toEqual([
      "program-input: Input tokens has size 2 on axis 0, but must have 1.",
    ]);
    const short = { ...feed([0], 0), tokens: tensor("i64", [1, 3], [0]) };
    expect(diagnosticsOf(() => executor.run(short))).toEqual([
      "program-input: Input tokens is [1, 3], but holds 1 elements.",
    ]);
  });
});

describe("sizes", () => {
  const identity = (x: readonly Dim[], y: readonly Dim[]) =>
    graphOf({
      values: { x: ["f32", x], y: ["f32", y], sizes: ["i64", [2]] },
      inputs: { x: undefined, y: undefined },
      dims: { sizes: [seq, past] },
      nodes: [],
      outputs: ["sizes"],
    });
  const sizesFor = async (graph: ProgramGraph, x: number[], y: number[]) => {
    const executor = await createCpuExecutor(graph, { loadConstant: noConstants });
    return executor.run({ x: tensor("f32", x), y: tensor("f32", y) });
  };

  test("are found from linear expressions, in whatever order they come", async () => {
    const graph = identity([addDims(past, seq)], [addDims(multiplyDims(seq, 2), 1)]);
    expect((await sizesFor(graph, [7], [5])).sizes).toEqual(tensor("i64", [2], [2, 5]));
    await expect(sizesFor(graph, [7], [6])).rejects.toThrow(
      "Input y has size 6 on axis 0, but must have 2*seq + 1 with seq from 1 to 4.",
    );
    await expect(sizesFor(graph, [12], [5])).rejects.toThrow("past from 0 to 8");
  });

  test("must agree with each other", async () => {
    const graph = identity([seq, addDims(seq, 1)], [past]);
    expect((await sizesFor(graph, [2, 3], [0])).sizes!.data).toEqual(new Float64Array([2, 0]));
    await expect(sizesFor(graph, [2, 4], [0])).rejects.toThrow(
      "Input x has size 4 on axis 1, but must have seq + 1 = 3.",
    );
  });

  test("may come from the data", async () => {
    const count = symbol("count", 8);
    const graph = graphOf({
      values: {
        x: ["f32", [4]],
        found: ["i64", [1, count]],
        shape: ["i64", [1]],
        flat: ["i64", [count]],
      },
      inputs: { x: undefined },
      dims: { shape: [count] },
      nodes: [
        ["nonzero", { x: "x" }, { size: "count" }, ["found"]],
        ["reshape", { x: "found", shape: "shape" }, {}, ["flat"]],
      ],
      outputs: ["flat"],
    });
    const executor = await createCpuExecutor(graph, { loadConstant: noConstants });
    const positions = (...data: number[]) => executor.run({ x: tensor("f32", [4], data) }).flat;
    expect(positions(0, 5, 0, 5)).toEqual(tensor("i64", [2], [1, 3]));
    expect(positions(0, 0, 0, 1)).toEqual(tensor("i64", [1], [3]));
  });
});

describe("constants and kernels", () => {
  test("a packed weight is multiplied, and a key that comes twice is loaded once", async () => {
    const codes = new Int8Array([1, 0, -1, 1, 1, 1]);
    const graph = graphOf({
      values: {
        x: ["f32", [1, 3]],
        weight: ["tq2_0", [2, 3]],
        again: ["tq2_0", [2, 3]],
        scale: ["f32", [1]],
        y: ["f32", [1, 2]],
        z: ["f32", [1, 2]],
      },
      inputs: { x: undefined },
      constants: { weight: "w", again: "w", scale: tensor("f32", [1], [2]) },
      nodes: [
        [
          "bitnet.linear",
          { x: "x", weight: "weight", scale: "scale" },
          { activations: "float", group: 0 },
          ["y"],
        ],
        [
          "bitnet.linear",
          { x: "x", weight: "again", scale: "scale" },
          { activations: "float", group: 0 },
          ["z"],
        ],
      ],
      outputs: ["y", "z"],
    });
    const keys: string[] = [];
    const executor = await createCpuExecutor(graph, {
      loadConstant: async (key) => {
        keys.push(key);
        return tensor("tq2_0", [2, 3], packTernary("tq2_0", codes, 2, 3));
      },
    });
    expect(keys).toEqual(["w"]);
    const { y, z } = executor.run({ x: tensor("f32", [1, 3], [1, 2, 4]) });
    expect([...y!.data]).toEqual([-6, 14]);
    expect(z).toEqual(y);
  });

  const unknown = graphOf({
    values: { x: ["f32", [1]], y: ["f32", [1]], z: ["f32", [1]] },
    inputs: { x: undefined },
    nodes: [
      ["acme.one", { x: "x" }, {}, ["y"]],
      ["acme.two", { x: "y" }, { by: 3 }, ["z"]],
    ],
    outputs: ["z", "x"],
  });

  test("every op without a kernel is named", async () => {
    const created = createCpuExecutor(unknown, { loadConstant: noConstants });
    await expect(created).rejects.toThrow(
      /There is no CPU kernel for acme\.one\.\n {2}at test:acme\.one.*for acme\.two\./s,
    );
  });

  test("kernels can be added; only their RangeErrors are the input's fault", async () => {
    const one = (({ x }: { x: Tensor }) => {
      if (x.data[0] === 1) throw new RangeError("One is too many.");
      if (x.data[0] === 2) throw new TypeError("a bug");
      return [x];
    }) as unknown as Kernel<OpSignature>;
    const two = (({ x }: { x: Tensor }, { by }: { by: number }) => [
      { ...x, data: x.data.map((value) => value * by) },
    ]) as unknown as Kernel<OpSignature>;
    const kernels = new Map([...cpuKernelsByName, ["acme.one", one], ["acme.two", two]] as const);
    const executor = await createCpuExecutor(unknown, { loadConstant: noConstants, kernels });
    const run = (value: number) => executor.run({ x: tensor("f32", [1], [value]) });
    expect(run(4)).toEqual({ z: tensor("f32", [1], [12]), x: tensor("f32", [1], [4]) });
    expect(diagnosticsOf(() => run(1))).toEqual(["run-failed: acme.one: One is too many."]);
    expect(() => run(2)).toThrow(TypeError);
  });
});
