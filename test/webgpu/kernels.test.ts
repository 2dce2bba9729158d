import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Expected, KernelCases } from "../../src/backends/webgpu/kernel-case.ts";
import { allKernelCases } from "../../src/backends/webgpu/kernels/cases.ts";
import { type Target, targets } from "../../src/backends/webgpu/target.ts";
import { nullDevice, pipelineOf, runKernel, testDevice } from "../support/gpu.ts";

let device: GPUDevice;
let validator: GPUDevice;
beforeAll(async () => {
  device = await testDevice();
  validator = await nullDevice();
});
afterAll(() => {
  device.destroy();
  validator.destroy();
});

/** The product's targets; for subgroups, one that works with those of this machine, which may be small. */
const tested: readonly Target[] = [
  ...Object.values(targets).filter(({ reduction }) => reduction !== "subgroup"),
  { ...targets.subgroups, name: "subgroups of 4 and more", subgroupSize: 4 },
];

for (const { kernel, cases, benches } of allKernelCases as readonly KernelCases[]) {
  describe(kernel.name, () => {
    for (const target of [...tested, targets.subgroups]) {
      test(`compiles for ${target.name} at default limits`, async () => {
        for (const { params } of [...cases, ...benches]) {
          if (kernel.supports?.(params, target) === undefined)
            await pipelineOf(validator, kernel.build(params, target));
        }
      });
    }
    for (const target of tested) {
      for (const { name, params, symbols, on, inputs, expected } of cases) {
        if (on?.(target) === false || kernel.supports?.(params, target) !== undefined) continue;
        test(`${name} (${target.name})`, async () => {
          const given = inputs();
          const results = await runKernel(device, kernel, params, target, given, symbols);
          for (const [binding, wanted] of Object.entries(expected(inputs())))
            expectElements(binding, results[binding]!, wanted);
        });
      }
    }
  });
}

function expectElements(binding: string, result: ArrayBuffer, { elements, tolerance }: Expected): void {
  const View = elements.constructor as new (
    buffer: ArrayBuffer,
    offset: number,
    length: number,
  ) => typeof elements;
  const actual = new View(result, 0, elements.length);
  let largest = 0;
  // Rows that nobody may read hold NaN, which has no magnitude.
  for (const value of elements) if (Math.abs(value) > largest) largest = Math.abs(value);
  const allowed = (tolerance ?? 0) * (largest || 1);
  const wrong: string[] = [];
  for (let i = 0; i < elements.length && wrong.length < 5; i++) {
    const [have, want] = [actual[i]!, elements[i]!];
    const isEqual = Object.is(have, want) || have === want || Math.abs(have - want) <= allowed;
    if (!isEqual) wrong.push(`${binding}[${i}] is ${have} and should be ${want}`);
  }
  expect(wrong).toEqual([]);
}
