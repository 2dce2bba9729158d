import type { Plan, PlanStep } from "../../src/runtime/webgpu/plan.ts";
import { ceilDivideDims, symbol } from "../../src/tensor/dim.ts";

const seq = symbol("seq", 64, 1);

const linear: PlanStep = {
  kernel: "ternary-gemv",
  class: "matmul",
  source: "model.layers.0",
  pipeline: 0,
  bindings: [
    { buffer: 0, offset: 256, size: 1024 },
    { buffer: 4, offset: 256, size: 512 },
    { buffer: 3, offset: 0, size: 4096 },
  ],
  workgroups: [ceilDivideDims(seq, 4), 2, 1],
};
const copy: PlanStep = {
  kernel: "copy",
  class: "movement",
  source: "",
  pipeline: 1,
  bindings: [
    { buffer: 1, offset: 0, size: 64 },
    { buffer: 2, offset: 0, size: 64 },
  ],
  workgroups: [1, 1, 1],
};
const choose: PlanStep = {
  kernel: "argmax",
  class: "sampling",
  source: "logits",
  pipeline: 2,
  bindings: [
    { buffer: 3, offset: 0, size: 4096 },
    { buffer: 6, offset: 0, size: 256 },
    { buffer: 5, offset: 0, size: 16 },
  ],
  workgroups: [1, 1, 1],
};
const best: PlanStep = {
  ...choose,
  kernel: "top",
  bindings: [choose.bindings[0]!, { buffer: 7, offset: 0, size: 320 }, choose.bindings[2]!],
};

/** A plan with one of everything for `sampleGraph`, though its shaders compute nothing. */
export const samplePlan: Plan = {
  symbols: ["seq", "past len"],
  modules: ["@compute @workgroup_size(64) fn main() {}", "", "// größer"],
  pipelines: [
    { label: "gemv", module: 0, bindings: ["symbols", "constant", "value", "value"] },
    { label: "copy", module: 1, bindings: ["value", "value"] },
    { label: "", module: 2, bindings: ["value", "value", "value"] },
  ],
  buffers: [
    {
      kind: "weights",
      size: 16640,
      parts: [
        { value: 4, layout: "plain", from: 0, size: 8, offset: 0 },
        { value: 3, layout: "ternary-codes", from: 2 ** 33, size: 16384, offset: 256 },
      ],
    },
    { kind: "state", name: "past_key_values.0.key", size: 262144 },
    { kind: "input", name: "tokens", size: 256 },
    { kind: "output", name: "logits", size: 4096 },
    { kind: "scratch", offset: 512, size: 1024 },
    { kind: "symbols" },
    { kind: "sampled", size: 256 },
    { kind: "candidates", count: 40 },
  ],
  variants: [
    {
      name: "subgroups",
      needs: {
        features: ["subgroups", "shader-f16"],
        languageFeatures: ["packed_4x8_integer_dot_product"],
        limits: { maxStorageBufferBindingSize: 2 ** 31, ["__proto__"]: 3 },
        minSubgroupSize: 16,
        software: false,
      },
      arenaSize: 1536,
      schedules: [
        { name: "decode", when: [{ symbol: "seq", min: 1, max: 1 }], steps: [copy, linear, linear] },
        {
          name: "prefill",
          when: [
            { symbol: "seq", min: 2, max: 64 },
            { symbol: "past len", min: 0, max: 960 },
          ],
          steps: [linear, { ...copy, class: "attention" }],
        },
      ],
      greedy: [choose],
      candidates: [best],
    },
    {
      name: "plain",
      needs: { features: [], languageFeatures: [], limits: {}, minSubgroupSize: 0, software: true },
      arenaSize: 2048,
      schedules: [{ name: "any", when: [], steps: [{ ...linear, class: "elementwise" }] }],
      greedy: [],
      candidates: undefined,
    },
  ],
};
