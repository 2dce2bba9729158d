import type { ProgramGraph } from "../../src/runtime/graph.ts";
import type { DeviceNeeds, Plan, PlanStep } from "../../src/runtime/webgpu/plan.ts";
import { addDims, ceilDivideDims, symbol } from "../../src/tensor/dim.ts";

export const noNeeds: DeviceNeeds = {
  features: [],
  languageFeatures: [],
  limits: {},
  minSubgroupSize: 0,
  software: false,
};

type Written = Omit<PlanStep, "kernel" | "class" | "source"> & { readonly kernel?: string };
const step = (written: Written): PlanStep => ({
  kernel: `kernel ${written.pipeline}`,
  class: "elementwise",
  source: "toy",
  ...written,
});

export const maxRows = 8;
const rows = symbol("S", 100, 1);

/** y = x · w + the first row of `total`, to which each call adds 1; `way` tells which schedule ran. */
export const affineGraph: ProgramGraph = {
  values: [
    { dtype: "f32", shape: [rows, 4] },
    { dtype: "f32", shape: [4] },
    { dtype: "f32", shape: [rows, 4] },
    { dtype: "f32", shape: [1, 2, 3, 4] },
    { dtype: "i64", shape: [1] },
    { dtype: "i64", shape: [2] },
    { dtype: "i64", shape: [1] },
  ],
  inputs: [{ name: "x", value: 0 }],
  outputs: [
    { name: "y", value: 2 },
    { name: "way", value: 4 },
    { name: "shape", value: 5 },
  ],
  states: [{ name: "total", value: 3 }],
  constants: [
    { value: 1, key: "w" },
    { value: 6, inline: { dtype: "i64", shape: [1], data: Float64Array.of(-5) } },
  ],
  dims: [{ value: 5, sizes: [rows, 4] }],
  nodes: [],
};

const affineModule = (tag: number) => `
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> base: array<i32>;
@group(0) @binding(3) var<storage, read_write> total: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> way: array<i32>;
@group(0) @binding(6) var<uniform> symbols: vec4<u32>;
@compute @workgroup_size(4) fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(local_invocation_index) i: u32) {
  if (g.x < symbols.x) { y[g.x * 4 + i] = x[g.x * 4 + i] * w[i] + total[i]; }
  if (i == 0 && g.x == symbols.x - 1) { way[0] = base[0] * ${tag}; }
}`;

const addOne = `
@group(0) @binding(0) var<storage, read_write> total: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { total[i] += 1; }`;

const affineBindings = ["constant", "value", "value", "value", "symbols"] as const;

export function affinePlan(needs: readonly Partial<DeviceNeeds>[] = [{}]): Plan {
  const bindings = [
    { buffer: 0, offset: 0, size: 128 },
    { buffer: 1, offset: 0, size: 16 },
    { buffer: 1, offset: 256, size: 4 },
    { buffer: 2, offset: 0, size: 96 },
    { buffer: 3, offset: 0, size: 128 },
    { buffer: 4, offset: 0, size: 4 },
  ];
  const affine = (pipeline: number, workgroups: PlanStep["workgroups"]) =>
    step({ pipeline, bindings, workgroups });
  const add = step({
    pipeline: 2,
    bindings: [{ buffer: 2, offset: 0, size: 96 }],
    workgroups: [1, 1, 1],
    kernel: "add-one",
  });
  return {
    symbols: ["S"],
    modules: [affineModule(1), affineModule(2), addOne],
    pipelines: [
      { label: "one", module: 0, bindings: ["value", "constant", ...affineBindings] },
      { label: "many", module: 1, bindings: ["value", "constant", ...affineBindings] },
      { label: "add", module: 2, bindings: ["value"] },
    ],
    buffers: [
      { kind: "input", name: "x", size: 128 },
      {
        kind: "weights",
        size: 260,
        parts: [
          { value: 1, layout: "plain", from: 0, size: 16, offset: 0 },
          { value: 6, layout: "plain", from: 0, size: 4, offset: 256 },
        ],
      },
      { kind: "state", name: "total", size: 96 },
      { kind: "output", name: "y", size: 128 },
      { kind: "output", name: "way", size: 4 },
    ],
    variants: needs.map((each, i) => ({
      name: `variant ${i}`,
      needs: { ...noNeeds, ...each },
      arenaSize: 0,
      schedules: [
        {
          name: "one",
          when: [{ symbol: "S", min: 1, max: 1 }],
          steps: [affine(0, [1, 1, 1]), add],
        },
        {
          name: "many",
          when: [{ symbol: "S", min: 2, max: maxRows }],
          steps: [affine(1, [rows, 1, 1]), add],
        },
      ],
      greedy: undefined,
      candidates: undefined,
    })),
  };
}

export const vocabSize = 29;
/** After it, no logit is a number. */
export const poison = 28;
export const capacity = 40;
/** Tokens that the longest schedule takes. */
export const longestCall = 6;
export const sampledRoom = 24;

/** The likeliest token after a sequence: it depends on every token that the cache should hold. */
export const tokenAfter = (ids: readonly number[]): number => {
  const sum = ids.reduce((total, id, position) => total + id * (position + 1), 0);
  return (sum * 7 + 3) % (vocabSize - 1);
};

export function continuation(ids: readonly number[], count: number): number[] {
  const all = [...ids];
  for (let i = 0; i < count; i++) all.push(tokenAfter(all));
  return all.slice(ids.length);
}

const S = symbol("S", capacity, 1);
const P = symbol("P", capacity);

/** A language model whose cache is the tokens themselves. */
export const languageGraph: ProgramGraph = {
  values: [
    { dtype: "i64", shape: [1, S] },
    { dtype: "i64", shape: [1] },
    { dtype: "f32", shape: [1, vocabSize] },
    { dtype: "i32", shape: [1, 1, capacity, 1] },
    { dtype: "i32", shape: [1, 1, S, 1] },
    { dtype: "f32", shape: [vocabSize, 1] },
  ],
  inputs: [
    { name: "tokens", value: 0 },
    { name: "start_pos", value: 1, contents: [P] },
  ],
  outputs: [{ name: "logits", value: 2 }],
  states: [{ name: "seen", value: 3 }],
  constants: [],
  dims: [],
  nodes: [
    { op: "nn.embedding", args: { table: 5, ids: 0 }, attrs: {}, results: [4], source: "toy" },
    { op: "kv.update", args: { cache: 3, new: 4, start_pos: 1 }, attrs: {}, results: [3], source: "toy" },
  ],
};

const remember = `
@group(0) @binding(0) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(1) var<storage, read_write> seen: array<i32>;
@group(0) @binding(2) var<uniform> symbols: vec4<u32>;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) g: vec3<u32>) { seen[symbols.y + g.x] = tokens[g.x]; }`;

/** The sums of 8 positions each, of which there are as many as there are workgroups. */
const partialSums = `
@group(0) @binding(0) var<storage, read_write> seen: array<i32>;
@group(0) @binding(1) var<storage, read_write> sums: array<i32>;
@group(0) @binding(2) var<uniform> symbols: vec4<u32>;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) g: vec3<u32>) {
  var sum = 0;
  for (var p = g.x * 8; p < min(g.x * 8 + 8, symbols.x + symbols.y); p++) { sum += seen[p] * i32(p + 1); }
  sums[g.x] = sum;
}`;

const logits = `
@group(0) @binding(0) var<storage, read_write> seen: array<i32>;
@group(0) @binding(1) var<storage, read_write> sums: array<i32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<uniform> symbols: vec4<u32>;
@compute @workgroup_size(${vocabSize}) fn main(@builtin(local_invocation_index) v: u32) {
  let end = symbols.x + symbols.y;
  var sum = 0;
  for (var g = 0u; g < (end + 7) / 8; g++) { sum += sums[g]; }
  let likeliest = u32((sum * 7 + 3) % ${vocabSize - 1});
  logits[v] = select(-f32(v), 10.0, v == likeliest);
  if (seen[end - 1] == ${poison}) { logits[v] = -1e30; }
}`;

const argmax = `
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(2) var<storage, read_write> sampled: array<u32>;
@group(0) @binding(3) var<storage, read_write> symbols: vec4<u32>;
@compute @workgroup_size(1) fn main() {
  var best = 0xffffffffu;
  var largest = -1e29;
  for (var v = 0u; v < ${vocabSize}; v++) { if (logits[v] > largest) { best = v; largest = logits[v]; } }
  let end = symbols.x + symbols.y;
  sampled[(end - 1) % ${sampledRoom}] = best;
  tokens[0] = i32(min(best, ${vocabSize - 1}));
  symbols.x = 1;
  symbols.y = end;
}`;

const topTwo = `
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> found: array<u32>;
@compute @workgroup_size(1) fn main() {
  var last = 0xffffffffu;
  for (var n = 0u; n < 2; n++) {
    var best = 0xffffffffu;
    var largest = -1e29;
    for (var v = 0u; v < ${vocabSize}; v++) {
      if (v != last && logits[v] > largest) { best = v; largest = logits[v]; }
    }
    found[n] = best;
    found[2 + n] = bitcast<u32>(largest);
    last = best;
  }
}`;

export function languagePlan(): Plan {
  const at = (buffer: number, size: number) => ({ buffer, offset: 0, size });
  const tokens = at(0, 4 * longestCall);
  const seen = at(1, 4 * capacity);
  const sums = at(3, 256);
  const values = at(2, 4 * vocabSize);
  const chunks = ceilDivideDims(addDims(S, P), 8);
  const call = [
    step({ pipeline: 0, bindings: [tokens, seen], workgroups: [S, 1, 1] }),
    step({ pipeline: 1, bindings: [seen, sums], workgroups: [chunks, 1, 1] }),
    step({ pipeline: 2, bindings: [seen, sums, values], workgroups: [1, 1, 1] }),
  ];
  return {
    symbols: ["S", "P"],
    modules: [remember, partialSums, logits, argmax, topTwo],
    pipelines: [
      { label: "remember", module: 0, bindings: ["value", "value", "symbols"] },
      { label: "sums", module: 1, bindings: ["value", "value", "symbols"] },
      { label: "logits", module: 2, bindings: ["value", "value", "value", "symbols"] },
      { label: "argmax", module: 3, bindings: ["value", "value", "value", "value"] },
      { label: "top", module: 4, bindings: ["value", "value"] },
    ],
    buffers: [
      { kind: "input", name: "tokens", size: 4 * longestCall },
      { kind: "state", name: "seen", size: 4 * capacity },
      { kind: "output", name: "logits", size: 4 * vocabSize },
      { kind: "scratch", offset: 256, size: 256 },
      { kind: "sampled", size: 4 * sampledRoom },
      { kind: "symbols" },
      { kind: "candidates", count: 2 },
    ],
    variants: [
      {
        name: "only",
        needs: noNeeds,
        arenaSize: 512,
        schedules: [
          { name: "decode", when: [{ symbol: "S", min: 1, max: 1 }], steps: call },
          { name: "prefill", when: [{ symbol: "S", min: 2, max: longestCall }], steps: call },
        ],
        greedy: [
          step({
            pipeline: 3,
            bindings: [values, tokens, at(4, 4 * sampledRoom), at(5, 16)],
            workgroups: [1, 1, 1],
            kernel: "argmax",
          }),
        ],
        candidates: [step({ pipeline: 4, bindings: [values, at(6, 16)], workgroups: [1, 1, 1] })],
      },
    ],
  };
}
