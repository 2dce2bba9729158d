/**
 * node scripts/run.js bench/gpu-kernels.ts [KERNEL [CASE [TARGET]]]: speed of the WebGPU kernels on this machine's
 * adapter, of those whose names contain the arguments. Dispatches of one pass depend on each other, as those of a
 * decode step do, and take their constants from several places in turn, so that caches do not hide the memory.
 *
 * DAWN_NODE: path of dawn.node, where the package `webgpu` is not installed. DAWN_OPTIONS: options of Dawn's `create`,
 * separated by spaces, in place of those for this platform.
 */
import { createRequire } from "node:module";
import type { Kernel, KernelCode } from "../src/backends/webgpu/kernel.ts";
import type { KernelBench } from "../src/backends/webgpu/kernel-case.ts";
import { allKernelCases } from "../src/backends/webgpu/kernels/cases.ts";
import { type Target, targets } from "../src/backends/webgpu/target.ts";
import { symbolOrder } from "../src/backends/webgpu/wgsl.ts";
import { Pcg32 } from "../src/runtime/random.ts";
import { evaluateDim } from "../src/tensor/dim.ts";

const [kernelFilter = "", caseFilter = "", targetFilter = ""] = process.argv.slice(2);

const dawnPath = process.env.DAWN_NODE;
const { create, globals } = (
  dawnPath ? createRequire(import.meta.url)(dawnPath) : await import("webgpu")
) as typeof import("webgpu");
Object.assign(globalThis, globals);
const defaultOptions = [
  "disable-dawn-features=timestamp_quantization",
  ...(process.platform === "linux" ? ["backend=vulkan"] : []),
];
const gpu = create(process.env.DAWN_OPTIONS?.split(" ").filter(Boolean) ?? defaultOptions);
// Dawn's instance must outlive its devices, or the process crashes when it is collected.
(globalThis as { dawnInstance?: unknown }).dawnInstance = gpu;

const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
if (!adapter?.features.has("timestamp-query")) {
  console.error("There is no WebGPU adapter with timestamp-query.");
  process.exit(1);
}
const { info, limits } = adapter;
const isSoftware =
  info.isFallbackAdapter || /llvmpipe|swiftshader/i.test(`${info.device} ${info.description}`);
const wanted = ["timestamp-query", "subgroups", "shader-f16"].filter((name) => adapter.features.has(name));
const device = await adapter.requestDevice({
  requiredFeatures: wanted as GPUFeatureName[],
  requiredLimits: {
    maxBufferSize: limits.maxBufferSize,
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
  },
});
device.addEventListener("uncapturederror", (event) => console.error(event.error.message));

/** The targets that the adapter can take; with small subgroups, one that asks for no larger ones. */
function targetsHere(): Target[] {
  const hasDot = gpu.wgslLanguageFeatures.has("packed_4x8_integer_dot_product");
  return Object.values<Target>(targets).flatMap((target) => {
    if (target.packedDot && !hasDot) return [];
    if (target.reduction === "serial") return isSoftware ? [target] : [];
    if (target.reduction !== "subgroup") return [target];
    if (!adapter!.features.has("subgroups")) return [];
    const smallest = info.subgroupMinSize ?? 4;
    return smallest >= target.subgroupSize
      ? [target]
      : [{ ...target, name: `subgroups of ${smallest}`, subgroupSize: smallest }];
  });
}

/** Bytes that are read before the same are read again: more than caches hold. */
const cacheBytes = isSoftware ? 0 : 192 * 2 ** 20;
const [fewestCopies, mostCopies] = [4, 128];
const secondsPerSample = isSoftware ? 0.15 : 0.01;
const [fewestDispatches, mostDispatches] = [2, 400];
const samples = 5;

const querySet = device.createQuerySet({ type: "timestamp", count: 2 });
const resolved = device.createBuffer({
  size: 16,
  usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
});
const readable = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });

interface Work {
  readonly pipeline: GPUComputePipeline;
  /** Taken in turn. */
  readonly groups: readonly GPUBindGroup[];
  readonly workgroups: readonly [number, number, number];
}

/** Seconds that a pass of some dispatches takes. */
async function timePass({ pipeline, groups, workgroups }: Work, dispatches: number): Promise<number> {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass({
    timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
  });
  pass.setPipeline(pipeline);
  for (let i = 0; i < dispatches; i++) {
    pass.setBindGroup(0, groups[i % groups.length]!);
    pass.dispatchWorkgroups(...workgroups);
  }
  pass.end();
  encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, readable, 0, 16);
  device.queue.submit([encoder.finish()]);
  await readable.mapAsync(GPUMapMode.READ);
  const [begin, end] = new BigUint64Array(readable.getMappedRange().slice(0)) as unknown as [bigint, bigint];
  readable.unmap();
  return Number(end - begin) * 1e-9;
}

/** Seconds of one dispatch: the best sample, which is the one that other programs disturbed least. */
async function timeDispatch(work: Work): Promise<number> {
  await timePass(work, fewestDispatches);
  const first = (await timePass(work, fewestDispatches)) / fewestDispatches;
  const fitting = Math.round(secondsPerSample / Math.max(first, 1e-7));
  const dispatches = Math.min(mostDispatches, Math.max(fewestDispatches, fitting));
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < samples; i++) best = Math.min(best, (await timePass(work, dispatches)) / dispatches);
  return best;
}

const random = new Pcg32(1n);
/** 16-bit halves that are ±1 to ±2 as f16, and make words of ordinary size as f32. */
const pattern = Uint16Array.from({ length: 2 ** 18 }, () => (random.next() & 0x83ff) | 0x3c00);

/** A buffer of such numbers. Indices into other buffers are 0. */
function bufferOf(name: string, size: number, usage: number): GPUBuffer {
  const buffer = device.createBuffer({
    size: Math.max(16, Math.ceil(size / 4) * 4),
    usage: usage | GPUBufferUsage.COPY_DST,
  });
  if (!/token|ids|position/.test(name))
    for (let at = 0; at < buffer.size; at += pattern.byteLength)
      device.queue.writeBuffer(buffer, at, pattern, 0, Math.min(pattern.byteLength, buffer.size - at) / 2);
  return buffer;
}

async function pipelineOf({
  wgsl,
  bindings,
}: Pick<KernelCode, "wgsl" | "bindings">): Promise<GPUComputePipeline> {
  const types = { constant: "read-only-storage", value: "storage", symbols: "uniform" } as const;
  const layout = device.createBindGroupLayout({
    entries: bindings.map(({ access }, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: types[access] },
    })),
  });
  return device.createComputePipelineAsync({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code: wgsl }), entryPoint: "main" },
  });
}

/** Seconds of a dispatch. */
async function timeKernel(kernel: Kernel, bench: KernelBench, target: Target): Promise<number> {
  const code = kernel.build(bench.params, target);
  const pipeline = await pipelineOf(code);
  const known = new Map(Object.entries(bench.symbols ?? {}));
  const constantBytes = code.bindings
    .filter(({ access }) => access === "constant")
    .reduce((sum, { name }) => sum + (bench.sizes[name] ?? 0), 0);
  const fitting = Math.ceil(cacheBytes / Math.max(1, constantBytes));
  const copies = Math.min(mostCopies, Math.max(fewestCopies, fitting));
  const values = new Map<string, GPUBuffer>();
  const all: GPUBuffer[] = [];
  const bufferFor = (name: string, access: string): GPUBuffer => {
    const shared = values.get(name);
    if (shared) return shared;
    const size = access === "symbols" ? 16 : bench.sizes[name];
    if (size === undefined)
      throw new Error(`the bench ${bench.name} of ${kernel.name} says nothing of ${name}`);
    const usage = access === "symbols" ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE;
    const buffer = bufferOf(name, size, usage);
    if (access === "symbols")
      device.queue.writeBuffer(
        buffer,
        0,
        Uint32Array.from([0, 1, 2, 3], (i) => bench.symbols?.[symbolOrder[i] ?? ""] ?? 0),
      );
    all.push(buffer);
    if (access !== "constant") values.set(name, buffer);
    return buffer;
  };
  const groups = Array.from({ length: copies }, () =>
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: code.bindings.map(({ name, access }, binding) => ({
        binding,
        resource: { buffer: bufferFor(name, access) },
      })),
    }),
  );
  const workgroups = code.workgroups.map((size) => evaluateDim(size, known)) as [number, number, number];
  const seconds = await timeDispatch({ pipeline, groups, workgroups });
  for (const buffer of all) buffer.destroy();
  return seconds;
}

/** Bytes a second of a shader that does nothing but read. */
async function readBandwidth(): Promise<number> {
  const size = Math.min(
    isSoftware ? 2 ** 26 : 2 ** 30,
    limits.maxStorageBufferBindingSize,
    limits.maxBufferSize,
  );
  const count = 2 ** Math.floor(Math.log2(size / 16));
  const invocations = Math.min(count, 2 ** 19);
  const pipeline = await pipelineOf({
    wgsl: `@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var sum = vec4<u32>();
  for (var i = id.x; i < ${count}u; i += ${4 * invocations}u) {
    sum ^= source[i] ^ source[i + ${invocations}u] ^ source[i + ${2 * invocations}u] ^ source[i + ${3 * invocations}u];
  }
  if (all(sum == vec4<u32>(1u, 2u, 3u, 4u))) { out[0] = sum.x; }
}`,
    bindings: [
      { name: "source", access: "constant" },
      { name: "out", access: "value" },
    ],
  });
  const source = bufferOf("source", 16 * count, GPUBufferUsage.STORAGE);
  const out = bufferOf("out", 16, GPUBufferUsage.STORAGE);
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [source, out].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const seconds = await timeDispatch({ pipeline, groups: [group], workgroups: [invocations / 256, 1, 1] });
  source.destroy();
  return (16 * count) / seconds;
}

/** Seconds of a dispatch that does nothing but depend on the one before. */
async function emptyDispatch(): Promise<number> {
  const pipeline = await pipelineOf({
    wgsl: `@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(32) fn main(@builtin(local_invocation_index) local: u32) { out[local] += 1u; }`,
    bindings: [{ name: "out", access: "value" }],
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: bufferOf("out", 128, GPUBufferUsage.STORAGE) } }],
  });
  return timeDispatch({ pipeline, groups: [group], workgroups: [1, 1, 1] });
}

const bandwidth = await readBandwidth();
console.log(
  `${info.vendor} ${info.architecture} ${info.device} ${info.description}, subgroups of ${info.subgroupMinSize}`,
);
console.log(
  `plain reading ${(bandwidth / 1e9).toFixed(1)} GB/s, an empty dispatch ${((await emptyDispatch()) * 1e6).toFixed(2)} µs`,
);
const head = ["kernel", "case", "target", "µs", "GB/s", "of reading", "TOPS"];
const widths = [16, 34, 14, 10, 9, 10, 9];
const line = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" ");
console.log(line(head));
for (const { kernel, benches } of allKernelCases) {
  if (!kernel.name.includes(kernelFilter)) continue;
  for (const bench of benches) {
    if (!bench.name.includes(caseFilter)) continue;
    for (const target of targetsHere()) {
      if (!target.name.includes(targetFilter) || kernel.supports?.(bench.params, target) !== undefined)
        continue;
      const seconds = await timeKernel(kernel, bench, target);
      const rate = bench.bytes / seconds;
      console.log(
        line([
          kernel.name,
          bench.name,
          target.name,
          (seconds * 1e6).toFixed(2),
          (rate / 1e9).toFixed(1),
          `${((100 * rate) / bandwidth).toFixed(1)} %`,
          ((2 * bench.operations) / seconds / 1e12).toPrecision(3),
        ]),
      );
    }
  }
}
device.destroy();
