import { create, globals } from "webgpu";
import type { Kernel, KernelCode } from "../../src/backends/webgpu/kernel.ts";
import type { Elements } from "../../src/backends/webgpu/kernel-case.ts";
import type { Target } from "../../src/backends/webgpu/target.ts";
import { symbolOrder } from "../../src/backends/webgpu/wgsl.ts";
import { evaluateDim } from "../../src/tensor/dim.ts";

Object.assign(globalThis, globals);

/** Dawn's instances must outlive their devices, or the process crashes when they are collected. */
const instances: GPU[] = [];
(globalThis as { dawnInstances?: unknown }).dawnInstances = instances;

function instance(options: string[]): GPU {
  const gpu = create(options);
  instances.push(gpu);
  return gpu;
}

/** A device of the adapter that this machine has, with all that it offers. */
export async function testDevice(): Promise<GPUDevice> {
  const adapter = await instance([]).requestAdapter();
  if (adapter === null)
    throw new Error(
      "there is no WebGPU adapter: a Vulkan driver such as lavapipe (Mesa 24 or newer) is needed",
    );
  return adapter.requestDevice({
    requiredFeatures: [...adapter.features].filter(isStandard) as GPUFeatureName[],
  });
}

const isStandard = (feature: string): boolean =>
  ["subgroups", "shader-f16", "timestamp-query"].includes(feature);

/** A device without any driver, at WebGPU's default limits: it validates shaders and pipelines and runs nothing. */
export async function nullDevice(): Promise<GPUDevice> {
  const adapter = await instance(["backend=null"]).requestAdapter();
  return adapter!.requestDevice({ requiredFeatures: ["subgroups"] });
}

/** Compiles a kernel's shader. @throws Error with the compiler's messages and the shader's text */
export async function pipelineOf(
  device: GPUDevice,
  { wgsl, bindings }: KernelCode,
): Promise<GPUComputePipeline> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code: wgsl });
  const types = { constant: "read-only-storage", value: "storage", symbols: "uniform" } as const;
  const layout = device.createBindGroupLayout({
    entries: bindings.map(({ access }, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: types[access] },
    })),
  });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: "main" },
  });
  const [error, info] = await Promise.all([device.popErrorScope(), module.getCompilationInfo()]);
  const messages = info.messages.filter(({ type }) => type === "error");
  if (error !== null || messages.length > 0) {
    const text = messages
      .map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`)
      .join("\n");
    const numbered = wgsl.split("\n").map((line, i) => `${i + 1}\t${line}`);
    throw new Error(`${text}\n${error?.message ?? ""}\n${numbered.join("\n")}`);
  }
  return pipeline;
}

/** Runs a kernel once. Gives what its bindings hold afterwards. */
export async function runKernel<P extends object>(
  device: GPUDevice,
  kernel: Kernel<P>,
  params: P,
  target: Target,
  inputs: Readonly<Record<string, Elements>>,
  symbols: Readonly<Record<string, number>> = {},
): Promise<Readonly<Record<string, ArrayBuffer>>> {
  const code = kernel.build(params, target);
  const pipeline = await pipelineOf(device, code);
  const words = new Uint32Array(4);
  symbolOrder.forEach((name, i) => {
    words[i] = symbols[name] ?? 0;
  });
  const buffers = code.bindings.map(({ name, access }) => {
    const elements = access === "symbols" ? words : inputs[name];
    if (elements === undefined) throw new Error(`the case of ${kernel.name} says nothing of ${name}`);
    const buffer = device.createBuffer({
      size: Math.max(16, Math.ceil(elements.byteLength / 4) * 4),
      usage:
        (access === "symbols" ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE) |
        GPUBufferUsage.COPY_SRC |
        GPUBufferUsage.COPY_DST,
      mappedAtCreation: true,
    });
    new Uint8Array(buffer.getMappedRange()).set(
      new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength),
    );
    buffer.unmap();
    return buffer;
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const known = new Map(Object.entries(symbols));
  const [x, y, z] = code.workgroups.map((size) => evaluateDim(size, known)) as [number, number, number];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(x, y, z);
  pass.end();
  const copies = buffers.map((buffer) => {
    const copy = device.createBuffer({
      size: buffer.size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    return copy;
  });
  device.pushErrorScope("validation");
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error !== null) throw new Error(error.message);
  const results: Record<string, ArrayBuffer> = {};
  for (const [i, { name }] of code.bindings.entries()) {
    await copies[i]!.mapAsync(GPUMapMode.READ);
    results[name] = copies[i]!.getMappedRange().slice(0);
  }
  for (const buffer of [...buffers, ...copies]) buffer.destroy();
  return results;
}
