import { afterAll, beforeAll, expect, test } from "vitest";
import { gateDeclaration } from "../../src/backends/webgpu/gates.ts";
import { defineKernel } from "../../src/backends/webgpu/kernel.ts";
import { type GateFunction, gateFunctions } from "../../src/backends/webgpu/kernels/ternary.ts";
import { targets } from "../../src/backends/webgpu/target.ts";
import { shader } from "../../src/backends/webgpu/wgsl.ts";
import { gelu, relu2, silu } from "../../src/runtime/cpu/kernels/activation.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { runKernel, testDevice } from "../support/gpu.ts";

let device: GPUDevice;
beforeAll(async () => {
  device = await testDevice();
});
afterAll(() => device.destroy());

const size = 4096;

const apply = defineKernel<{ readonly gate: GateFunction }>({
  name: "gate",
  doc: "out = f(x); x, out f32 [4096].",
  class: "elementwise",
  build: ({ gate }, target) =>
    shader(target, {
      bindings: {
        x: { type: "array<f32>", access: "value" },
        out: { type: "array<f32>", access: "value" },
      },
      workgroupSize: 64,
      workgroups: [size / 64, 1, 1],
      declarations: gateDeclaration(gate),
      body: "let i = workgroup.x * 64u + local;\n  out[i] = gate_function(x[i]);",
    }),
});

const references: Readonly<Record<GateFunction, (x: Tensor) => readonly Tensor[]>> = {
  relu2: (x) => relu2({ x }, {}),
  relu: (x) => [{ ...x, data: Float32Array.from(x.data as Float32Array, (value) => Math.max(value, 0)) }],
  silu: (x) => silu({ x }, {}),
  gelu: (x) => gelu({ x }, { approximate: "none" }),
  "gelu-tanh": (x) => gelu({ x }, { approximate: "tanh" }),
};

/** From -16 to 16, densest at 0, and magnitudes at which exp leaves the range of f32. */
const inputs = Float32Array.from({ length: size }, (_, i) => ((2 * i) / size - 1) ** 3 * 16);
inputs.set([-1e4, -1000, -200, -90, -89, -88, 88, 89, 90, 200, 1000, 1e4]);

for (const gate of gateFunctions) {
  test(`${gate} is that of the op, to some units of the result or of x`, async () => {
    const out = await runKernel(device, apply, { gate }, targets.software, {
      x: inputs,
      out: new Float32Array(size),
    });
    const [reference] = references[gate]({ dtype: "f32", shape: [size], data: inputs });
    const actual = new Float32Array(out.out!);
    const wrong: string[] = [];
    for (let i = 0; i < size; i++) {
      const want = reference!.data[i] as number;
      // where x is far below 0 the functions are differences of much larger numbers, and nothing beside those
      const allowed = 2e-6 * Math.abs(want) + 2e-8 * Math.min(1, Math.abs(inputs[i]!));
      const isRight = Math.abs(actual[i]! - want) <= allowed;
      if (!isRight) wrong.push(`f(${inputs[i]}) is ${actual[i]} and should be ${want}`);
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  });
}
