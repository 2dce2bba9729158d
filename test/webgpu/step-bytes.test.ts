import { expect, test } from "vitest";
import type { ProgramGraph } from "../../src/runtime/graph.ts";
import { Calls } from "../../src/runtime/webgpu/calls.ts";
import type { BindingAccess, Plan, PlanBuffer, StepClass } from "../../src/runtime/webgpu/plan.ts";
import { bytesMoved } from "../../src/runtime/webgpu/step-bytes.ts";
import { symbol } from "../../src/tensor/dim.ts";

const positions = 40;
const longest = 8;
const sequence = symbol("S", longest, 1);

/** What is looked at of a language model: its inputs, and a cache of rows of 16 bytes. */
const graph: ProgramGraph = {
  values: [
    { dtype: "i64", shape: [1, sequence] },
    { dtype: "i64", shape: [1] },
    { dtype: "f32", shape: [1, 1, positions, 4] },
  ],
  inputs: [
    { name: "tokens", value: 0 },
    { name: "start_pos", value: 1, contents: [symbol("P", positions - 1)] },
  ],
  outputs: [],
  states: [{ name: "cache", value: 2 }],
  constants: [],
  dims: [],
  nodes: [],
};

type Sized = Exclude<PlanBuffer, { readonly kind: "symbols" | "candidates" }>;
const cache: Sized = { kind: "state", name: "cache", size: 16 * positions };
const bound: Readonly<Record<BindingAccess, readonly Sized[]>> = {
  constant: [{ kind: "weights", size: 1000, parts: [] }],
  value: [{ kind: "scratch", offset: 0, size: 80 }],
  symbols: [],
};

/** Bytes of a dispatch at position 9. */
function bytesOf(
  stepClass: StepClass,
  tokens: number,
  accesses: readonly BindingAccess[],
  most = tokens === 1 ? 1 : longest,
): number {
  const when = [{ symbol: "S", min: 1, max: most }];
  const buffers = accesses.flatMap((access) => bound[access]);
  const shown = stepClass === "attention" ? [...buffers, cache] : buffers;
  const bindings = stepClass === "attention" ? [...accesses, "value" as const] : accesses;
  const plan = { pipelines: [{ label: "", module: 0, bindings }], buffers: shown } as unknown as Plan;
  const step = {
    kernel: "k",
    class: stepClass,
    source: "",
    pipeline: 0,
    bindings: shown.map(({ size }, buffer) => ({ buffer, offset: 0, size })),
    workgroups: [1, 1, 1] as const,
  };
  const calls = new Calls(graph, [{ when }]);
  const symbols = new Map([
    ["S", tokens],
    ["P", 9],
  ]);
  const prepared = { name: "", steps: [step], when, pipelines: [], groups: [] };
  return bytesMoved({ plan, graph, calls })(
    { ...prepared, counts: new Uint32Array(3), symbolic: [] },
    step,
    symbols,
  );
}

test("weights of a matmul count in full, and activations as far as the call fills them", () => {
  expect(bytesOf("matmul", 1, ["value", "constant", "value", "symbols"])).toBe(1000 + 160);
  expect(bytesOf("matmul", 2, ["symbols", "value", "constant", "value"])).toBe(1000 + 40);
});

test("a table counts for no more than the rows that are taken of it", () => {
  expect(bytesOf("movement", 1, ["constant", "value"])).toBe(160);
  expect(bytesOf("elementwise", 4, ["constant", "value"])).toBe(80);
});

test("caches count as far as they are filled", () => {
  expect(bytesOf("attention", 1, ["constant", "value"])).toBe(16 * 10 + (80 * 10) / positions);
  expect(bytesOf("attention", 4, ["constant", "value"])).toBe(16 * 13 + 40);
});
