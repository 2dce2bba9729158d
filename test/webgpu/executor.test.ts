import { beforeAll, describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { nodeGpu } from "../../src/node/gpu.ts";
import type { ProgramGraph } from "../../src/runtime/graph.ts";
import {
  adoptDevice,
  type ChosenDevice,
  findAdapter,
  isSoftware,
  requestDevice,
} from "../../src/runtime/webgpu/device.ts";
import { createWebGpuExecutor, type WebGpuExecutor } from "../../src/runtime/webgpu/executor.ts";
import type { Plan } from "../../src/runtime/webgpu/plan.ts";
import type { Blobs } from "../../src/runtime/webgpu/weights.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { affineGraph, affinePlan, maxRows } from "./toy-plans.ts";

const weights = Float32Array.of(1, 10, 100, 1000);
const blobs: Blobs = {
  blobs: new Map([["w", { size: 16 }]]),
  async *chunks() {
    yield new Uint8Array(weights.buffer, 0, 7);
    yield new Uint8Array(weights.buffer, 7);
  },
};

let gpu: GPU;
let adapter: GPUAdapter;
beforeAll(async () => {
  gpu = await nodeGpu();
  adapter = (await findAdapter(gpu))!;
});

async function withExecutor(
  work: (executor: WebGpuExecutor, chosen: ChosenDevice) => Promise<void>,
  { graph = affineGraph, plan = affinePlan(), profile = false } = {},
): Promise<void> {
  // an adapter gives one device
  const chosen = await requestDevice(gpu, (await findAdapter(gpu))!, plan, profile);
  const executor = await createWebGpuExecutor(graph, plan, chosen, blobs);
  try {
    await work(executor, chosen);
  } finally {
    executor.dispose();
  }
}

const rowsOf = (count: number) =>
  tensor(
    "f32",
    [count, 4],
    Float32Array.from({ length: 4 * count }, (_, i) => i + 1),
  );
const expected = (count: number, total: number) =>
  Array.from({ length: 4 * count }, (_, i) => (i + 1) * weights[i % 4]! + total);
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (cause) => cause,
  );
  expect(error).toBeInstanceOf(BitnetcError);
  return (error as BitnetcError).code;
};

describe("calls", () => {
  test("take the schedule that fits, keep states, give outputs at their shapes", async () => {
    await withExecutor(async (executor) => {
      expect(executor.device).toMatch(/^webgpu \(.+\)$/);
      for (const [total, count] of [1, 3, maxRows, 1, 2].entries()) {
        const outputs = await executor.run({ x: rowsOf(count) });
        expect(outputs.y!.shape).toEqual([count, 4]);
        expect([...outputs.y!.data]).toEqual(expected(count, total));
        expect(outputs.way).toEqual({
          dtype: "i64",
          shape: [1],
          data: Float64Array.of(count === 1 ? -5 : -10),
        });
        expect([...outputs.shape!.data]).toEqual([count, 4]);
      }
      executor.reset();
      const { y } = await executor.run({ x: rowsOf(2) });
      expect([...y!.data]).toEqual(expected(2, 0));
    });
  });

  test("may be made without waiting for each other", async () => {
    await withExecutor(async (executor) => {
      const results = await Promise.all([3, 1, 5].map((count) => executor.run({ x: rowsOf(count) })));
      expect(results.map(({ y }) => [...y!.data])).toEqual([3, 1, 5].map((count, i) => expected(count, i)));
    });
  });

  test("are refused when inputs do not fit, and when no schedule is long enough", async () => {
    await withExecutor(async (executor) => {
      expect(await codeOf(executor.run({}))).toBe("program-input");
      expect(await codeOf(executor.run({ x: tensor("f32", [2, 5]) }))).toBe("program-input");
      expect(await codeOf(executor.run({ x: rowsOf(maxRows + 1) }))).toBe("call-size");
      const { y } = await executor.run({ x: rowsOf(1) });
      expect([...y!.data]).toEqual(expected(1, 0));
    });
  });

  test("leave states that can be read and written in part", async () => {
    await withExecutor(async (executor) => {
      const rows = tensor(
        "f32",
        [1, 2, 2, 4],
        Float32Array.from({ length: 16 }, (_, i) => 100 + i),
      );
      await executor.writeState("total", rows);
      await executor.run({ x: rowsOf(1) });
      const state = await executor.readState("total", 3);
      expect(state.shape).toEqual([1, 2, 3, 4]);
      const head = (first: number, added: number) => [
        ...Array.from({ length: 8 }, (_, i) => first + i + (i < 4 ? added : 0)),
        ...[0, 0, 0, 0],
      ];
      expect([...state.data]).toEqual([...head(100, 1), ...head(108, 0)]);
      const first = await executor.readState("total", 1);
      expect([...first.data]).toEqual([101, 102, 103, 104, 108, 109, 110, 111]);
      expect((await executor.readState("total", 0)).data.length).toBe(0);
    });
  });
});

describe("devices", () => {
  const missing = { features: ["no-such-feature"], limits: { maxComputeWorkgroupSizeX: 2 ** 20 } };

  test("run the first variant whose needs they meet", async () => {
    const plan = affinePlan([missing, { languageFeatures: ["no_such_language"] }, {}, {}]);
    const { variant, device } = await requestDevice(gpu, (await findAdapter(gpu))!, plan);
    expect(variant.name).toBe("variant 2");
    device.destroy();
  });

  test("are refused in a sentence for each variant", async () => {
    const plan = affinePlan([missing, { languageFeatures: ["no_such_language"], minSubgroupSize: 999 }]);
    const error = await requestDevice(gpu, adapter, plan).catch((cause) => cause);
    expect(error.code).toBe("device-unfit");
    const messages = error.diagnostics.map(({ message }: { message: string }) => message);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toContain('"variant 0"');
    expect(messages[0]).toContain("no-such-feature");
    expect(messages[0]).toContain(`maxComputeWorkgroupSizeX must be ${2 ** 20}`);
    expect(messages[1]).toContain("no_such_language");
    expect(messages[1]).toContain("must have 999 invocations");
  });

  test("get what is needed and no more", async () => {
    const needs = { features: ["subgroups"], limits: { maxComputeWorkgroupStorageSize: 20000 } };
    const { device } = await requestDevice(gpu, (await findAdapter(gpu))!, affinePlan([needs]));
    expect(device.features.has("subgroups")).toBe(true);
    expect(device.features.has("timestamp-query")).toBe(false);
    expect(device.limits.maxComputeWorkgroupStorageSize).toBe(20000);
    expect(device.limits.maxStorageBufferBindingSize).toBe(2 ** 27);
    device.destroy();
  });

  test("that were handed in are checked, used and left alone", async () => {
    const device = await (await findAdapter(gpu))!.requestDevice();
    const packed = { languageFeatures: ["packed_4x8_integer_dot_product"] };
    const unfit = affinePlan([missing, { features: ["subgroups"] }]);
    expect(await codeOf(adoptDevice(device, unfit))).toBe("device-unfit");
    const plan = affinePlan([{ languageFeatures: ["no_such_language"] }, packed]);
    const chosen = await adoptDevice(device, plan);
    expect(chosen.variant.name).toBe("variant 1");
    const executor = await createWebGpuExecutor(affineGraph, plan, chosen, blobs);
    expect([...(await executor.run({ x: rowsOf(1) })).y!.data]).toEqual(expected(1, 0));
    executor.dispose();
    await expect(executor.run({ x: rowsOf(1) })).rejects.toThrow("disposed");
    const again = await createWebGpuExecutor(affineGraph, plan, chosen, blobs);
    expect([...(await again.run({ x: rowsOf(3) })).y!.data]).toEqual(expected(3, 0));
    again.dispose();
    device.destroy();
  });

  test("of their own are destroyed in the end", async () => {
    let lost: Promise<GPUDeviceLostInfo> | undefined;
    await withExecutor(async (_, { device }) => {
      lost = device.lost;
    });
    expect((await lost!).reason).toBe("destroyed");
  });

  test("are known to be software", () => {
    const info = (facts: object) => ({ info: facts as GPUAdapterInfo });
    expect(isSoftware(info({ isFallbackAdapter: true, architecture: "" }))).toBe(true);
    expect(isSoftware(info({ architecture: "swiftshader" }))).toBe(true);
    expect(isSoftware(info({ isFallbackAdapter: false, architecture: "hopper" }))).toBe(false);
  });

  test("that run shaders on the CPU alone take variants made for these", async () => {
    const plan = affinePlan([{ software: true }, {}]);
    const { variant, device } = await requestDevice(gpu, (await findAdapter(gpu))!, plan);
    expect(variant.name).toBe(isSoftware(adapter) ? "variant 0" : "variant 1");
    device.destroy();
  });
});

describe("faults", () => {
  const create = async (plan: Plan, graph: ProgramGraph = affineGraph) => {
    const chosen = await requestDevice(gpu, (await findAdapter(gpu))!, plan);
    return createWebGpuExecutor(graph, plan, chosen, blobs);
  };

  test("a device that is lost refuses every later call", async () => {
    await withExecutor(async (executor, { device }) => {
      await executor.run({ x: rowsOf(1) });
      const running = executor.run({ x: rowsOf(1) });
      device.destroy();
      expect(await codeOf(running)).toBe("device-lost");
      expect(await codeOf(executor.run({ x: rowsOf(1) }))).toBe("device-lost");
      expect(await codeOf(executor.readState("total", 1))).toBe("device-lost");
    });
  });

  test("a shader that is not valid", async () => {
    const plan = affinePlan();
    const wrong = { ...plan, modules: ["fn main() { not wgsl }", ...plan.modules.slice(1)] };
    expect(await codeOf(create(wrong))).toBe("device-validation");
  });

  test("a pipeline that is not valid", async () => {
    const plan = affinePlan();
    const large = plan.modules[2]!.replace("workgroup_size(4)", "workgroup_size(4096)");
    expect(await codeOf(create({ ...plan, modules: [...plan.modules.slice(0, 2), large] }))).toBe(
      "device-validation",
    );
  });

  test("a buffer beyond all limits", async () => {
    const plan = affinePlan();
    const buffers = plan.buffers.map((buffer) =>
      buffer.kind === "state" ? { ...buffer, size: 2 ** 41 } : buffer,
    );
    expect(await codeOf(create({ ...plan, buffers }))).toBe("device-validation");
  });

  test("too little memory", async () => {
    const plan = affinePlan();
    const device = await (await findAdapter(gpu))!.requestDevice();
    const poor = outOfMemoryFrom(device, 96);
    const creating = createWebGpuExecutor(affineGraph, plan, await adoptDevice(poor, plan), blobs);
    expect(await codeOf(creating)).toBe("device-out-of-memory");
    device.destroy();
  });

  test("a dispatch that is not valid fails its call and all later ones", async () => {
    const plan = affinePlan();
    const variants = plan.variants.map((variant) => ({
      ...variant,
      schedules: variant.schedules.map((schedule) =>
        schedule.name === "one"
          ? schedule
          : {
              ...schedule,
              steps: schedule.steps.map((step) => ({ ...step, workgroups: [2 ** 17, 1, 1] as const })),
            },
      ),
    }));
    await withExecutor(
      async (executor) => {
        await executor.run({ x: rowsOf(1) });
        expect(await codeOf(executor.run({ x: rowsOf(2) }))).toBe("device-validation");
        expect(await codeOf(executor.run({ x: rowsOf(1) }))).toBe("device-validation");
      },
      { plan: { ...plan, variants } },
    );
  });

  test("others' errors on a device that was handed in are not ours", async () => {
    const device = await (await findAdapter(gpu))!.requestDevice();
    const seen: string[] = [];
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      seen.push((event as GPUUncapturedErrorEvent).error.message);
    });
    const plan = affinePlan();
    const executor = await createWebGpuExecutor(affineGraph, plan, await adoptDevice(device, plan), blobs);
    device.createShaderModule({ code: "nonsense" });
    expect([...(await executor.run({ x: rowsOf(1) })).y!.data]).toEqual(expected(1, 0));
    await device.queue.onSubmittedWorkDone();
    expect(seen).toHaveLength(1);
    executor.dispose();
    device.destroy();
  });

  test("what reading the weights throws comes through", async () => {
    const plan = affinePlan();
    const chosen = await requestDevice(gpu, (await findAdapter(gpu))!, plan);
    const broken: Blobs = {
      ...blobs,
      async *chunks() {
        yield new Uint8Array(3);
        throw new RangeError("the line is cut");
      },
    };
    await expect(createWebGpuExecutor(affineGraph, plan, chosen, broken)).rejects.toThrow("the line is cut");
    expect((await chosen.device.lost).reason).toBe("destroyed");
  });
});

test("only the outputs that are wanted are read back", async () => {
  await withExecutor(async (executor) => {
    const { way, shape } = await executor.run({ x: rowsOf(3) }, ["way", "shape"]);
    expect([...way!.data, ...shape!.data]).toEqual([-10, 3, 4]);
    expect(await executor.run({ x: rowsOf(2) }, [])).toEqual({});
    const outputs = await executor.run({ x: rowsOf(1) }, ["y"]);
    expect(Object.keys(outputs)).toEqual(["y"]);
    expect([...outputs.y!.data]).toEqual(expected(1, 2));
  });
});

describe("profiles", () => {
  test("tell the time of each kernel in each schedule", async () => {
    await withExecutor(
      async (executor) => {
        executor.profile(true);
        for (const count of [1, 3, 3]) {
          const { y } = await executor.run({ x: rowsOf(count) });
          expect(y!.shape).toEqual([count, 4]);
        }
        executor.profile(true);
        const entries = executor.takeProfile();
        const told = entries.map(({ schedule, kernel, count }) => `${schedule} ${kernel} ${count}`);
        expect(told.sort()).toEqual(["many add-one 2", "many kernel 1 2", "one add-one 1", "one kernel 0 1"]);
        expect(entries.every(({ nanoseconds }) => nanoseconds >= 0 && nanoseconds < 1e9)).toBe(true);
        expect(entries.some(({ nanoseconds }) => nanoseconds > 0)).toBe(true);
        expect(executor.takeProfile()).toEqual([]);
        executor.profile(false);
        expect([...(await executor.run({ x: rowsOf(1) })).y!.data]).toEqual(expected(1, 3));
        expect(executor.takeProfile()).toEqual([]);
      },
      { profile: true },
    );
  });

  test("are refused by a device that cannot measure", async () => {
    await withExecutor(async (executor) => {
      expect(() => executor.profile(true)).toThrow(/timestamp-query/);
    });
  });
});

/** A device whose memory ends at the first buffer of `size` bytes. */
function outOfMemoryFrom(device: GPUDevice, size: number): GPUDevice {
  const scopes: { filter: GPUErrorFilter; error: GPUError | null }[] = [];
  const overrides: Partial<GPUDevice> = {
    pushErrorScope: (filter) => void scopes.push({ filter, error: null }),
    popErrorScope: async () => scopes.pop()!.error,
    createBuffer: (descriptor) => {
      const scope = scopes.findLast(({ filter }) => filter === "out-of-memory");
      if (descriptor.size !== size || scope === undefined) return device.createBuffer(descriptor);
      scope.error = { message: "no room" };
      const invalid = scopes.findLast(({ filter }) => filter === "validation")!;
      invalid.error = { message: "the buffer is not valid" };
      return device.createBuffer(descriptor);
    },
  };
  return new Proxy(device, {
    get(target, key) {
      if (key in overrides) return overrides[key as keyof GPUDevice];
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
