import { beforeAll, describe, expect, test } from "vitest";
import { groupNodes } from "../../src/backends/webgpu/lowering/groups.ts";
import { buildPlan } from "../../src/backends/webgpu/plan/build.ts";
import { type Lowered, load, lower } from "../../src/index.ts";
import { Graph } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { literal } from "../../src/ir/shorthand.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { WeightRef } from "../../src/ir/weights.ts";
import { openInput } from "../../src/node/compile-file.ts";
import { sequenceLength } from "../../src/passes/lengths.ts";
import { toProgramGraph } from "../../src/passes/to-program-graph.ts";
import type { Plan } from "../../src/runtime/webgpu/plan.ts";
import { unpacked } from "../support/archive.ts";

const layers = 4;
const checkpoint = async (): Promise<Lowered<"packed">> =>
  lower(await load(await openInput(`${unpacked("bard.tar.br")}/hf-packed`)), "packed");

const planOf = (graph: Graph): Plan => {
  const { groups, refusals } = groupNodes(graph);
  expect(refusals).toEqual([]);
  return buildPlan(graph, groups, toProgramGraph(graph).numbers).plan;
};

describe("the plan of a BitNet decoder", () => {
  let packed: Lowered<"packed">;
  let plan: Plan;
  beforeAll(async () => {
    packed = await checkpoint();
    plan = planOf(packed.graph);
  });

  test("decodes a layer in six dispatches", () => {
    for (const { schedules } of plan.variants) {
      const decode = schedules.find(({ name }) => name === "decode")!;
      const kernels = decode.steps.map(({ kernel }) => kernel);
      const layer = [
        "ternary-gemv",
        "attention-decode",
        "attention-combine",
        "ternary-gemv",
        "ternary-gemv",
        "ternary-gemv",
      ];
      const all = Array.from({ length: layers }, () => layer).flat();
      expect(kernels).toEqual(["embedding", ...all, "rms-norm", "dense-gemv"]);
    }
  });

  test("has one schedule for every number of tokens up to the longest call", () => {
    for (const { schedules } of plan.variants)
      for (const tokens of [1, 2, 3, 100, 512])
        expect(
          schedules.filter(({ when }) => when.every(({ min, max }) => tokens >= min && tokens <= max)),
        ).toHaveLength(1);
  });

  test("is the same when it is made again", async () => {
    const again = planOf((await checkpoint()).graph);
    expect(JSON.stringify(again)).toBe(JSON.stringify(plan));
  });

  test("leaves the graph as it was", async () => {
    const { graph } = await checkpoint();
    const before = graph.toString();
    planOf(graph);
    expect(graph.toString()).toBe(before);
  });

  test("asks of adapters only what its variant uses", () => {
    const needs = Object.fromEntries(plan.variants.map((variant) => [variant.name, variant.needs]));
    expect(needs.baseline).toEqual({
      features: [],
      languageFeatures: [],
      limits: {},
      minSubgroupSize: 0,
      software: false,
    });
    expect(needs.subgroups).toMatchObject({ features: ["subgroups"], limits: {} });
    expect(needs.software).toMatchObject({ software: true });
  });
});

/** A constant that nobody reads. */
const unread = (dtype: "f16" | "f32", shape: readonly number[], id: string): WeightRef => ({
  id,
  dtype,
  shape,
  rows: () => Promise.reject(new Error("planning reads no weights")),
});

function headOnly(vocabulary: number): Graph {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  const tokens = b.input("tokens", tensorType("i64", [1, sequenceLength(4)]));
  const table = b.constant(unread("f16", [vocabulary, 512], "table"));
  const x = b("nn.embedding", { table, ids: tokens });
  b.output("logits", b("nn.linear", { x, weight: table }));
  return graph;
}

describe("a weight larger than a binding", () => {
  // 300,000 rows of 1 KiB: 293 MiB, where a binding shows 128 MiB by default
  const plan = planOf(headOnly(300_000));

  test("is bound in parts where the adapter has default limits", () => {
    for (const { name, needs, schedules } of plan.variants) {
      const isWide = name.includes("large");
      const largest = Math.max(
        ...schedules.flatMap(({ steps }) =>
          steps.flatMap(({ bindings }) => bindings.map(({ size }) => size)),
        ),
      );
      expect(largest > 2 ** 27).toBe(isWide);
      expect(needs.limits).toEqual(
        isWide ? { maxStorageBufferBindingSize: largest, maxBufferSize: largest } : {},
      );
      expect(schedules[0]!.steps).toHaveLength(isWide ? 2 : 6);
    }
  });

  test("has a variant for adapters with more before that for default limits", () => {
    const names = plan.variants.map(({ name }) => name);
    expect(names.indexOf("subgroups, large bindings")).toBe(names.indexOf("subgroups") - 1);
  });
});

test("an output that is another shape of what would need no dispatch is written all the same", () => {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  const x = b("neg", { x: b.input("x", tensorType("f32", [1, 2, 3])) });
  const moved = b("transpose", { x }, { perm: [1, 0, 2] });
  b.output("out", b("reshape", { x: moved, shape: literal(b, "i64", [6]) }));
  const { buffers, variants } = planOf(graph);
  const [schedule] = variants[0]!.schedules;
  const written = schedule!.steps.at(-1)!.bindings.map(({ buffer }) => buffers[buffer]!.kind);
  expect(written).toContain("output");
});

test("memory that a dispatch would show twice is copied", () => {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  const x = b.input("x", tensorType("f32", [2, 6]));
  const y = b("neg", { x });
  const z = b("reshape", { x: y, shape: literal(b, "i64", [6, 2]) });
  b.output("out", b("matmul", { a: y, b: z }));
  const [schedule] = planOf(graph).variants[0]!.schedules;
  expect(schedule!.steps.map(({ kernel }) => kernel)).toEqual(["elementwise", "copy-rows", "matmul"]);
  for (const { bindings } of schedule!.steps)
    expect(new Set(bindings.map(({ buffer }) => buffer)).size).toBe(bindings.length);
});

describe("a node that no kernel computes", () => {
  test("is named with a reason, and the program then has the graph alone", async () => {
    const graph = new Graph(coreOps);
    const b = graph.edit("test");
    const x = b.input("x", tensorType("f32", [2, 3]));
    b.output("y", b("cumsum", { x }, { axis: 0, exclusive: false, reverse: false }));
    const { refusals } = groupNodes(graph);
    expect(refusals).toEqual([{ op: "cumsum", source: "", why: expect.stringContaining("GPU") }]);
  });
});
