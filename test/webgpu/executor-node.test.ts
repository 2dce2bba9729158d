import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.doUnmock("webgpu");
  vi.resetModules();
});

test("Dawn's instance is one for each set of options, and stays reachable", async () => {
  const { nodeGpu } = await import("../../src/node/gpu.ts");
  const gpu = await nodeGpu();
  vi.resetModules();
  const again = await import("../../src/node/gpu.ts");
  expect(await again.nodeGpu([])).toBe(gpu);
  expect(await again.nodeGpu(["backend=null"])).not.toBe(gpu);
});

test("a package that cannot be loaded is an error with a hint", async () => {
  vi.doMock("webgpu", () => {
    throw new Error("no library here");
  });
  const { nodeGpu } = await import("../../src/node/gpu.ts");
  const error = await nodeGpu(["adapter=of this test"]).catch((cause) => cause);
  expect(error.code).toBe("webgpu-package");
  expect(error.message).toContain("npm install webgpu");
});
