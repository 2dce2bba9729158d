import { findAdapter } from "../runtime/webgpu/device.ts";
import { nodeGpu } from "./gpu.ts";

/** What every adapter offers for a binding, and more than caches hold where two of them are read. */
const size = 2 ** 27;
const workgroups = 2048;
/** Milliseconds that a measurement is to take. */
const longEnough = 50;

// Bits of GPUBufferUsage, which the specification fixes; Node has no globals for them.
const copySrc = 4;
const copyDst = 8;
const storage = 128;

/** Reads two buffers from end to end; what is written depends on all of it, and is never written. */
const wgsl = `
@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<u32>>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  const step = ${workgroups * 256}u;
  var all = vec4<u32>();
  for (var i = id.x; i < ${size / 16}u; i += 4u * step) {
    all |= a[i] | a[i + step] | a[i + 2u * step] | a[i + 3u * step];
    all |= b[i] | b[i + step] | b[i + 2u * step] | b[i + 3u * step];
  }
  if (any(all != vec4<u32>())) { out[0] = all; }
}`;

/**
 * Bytes that the adapter moves from and to its memory in a second: the better of what a shader reads and what a copy
 * of a buffer reads and writes.
 */
export async function measureBandwidth(): Promise<number> {
  const adapter = await findAdapter(await nodeGpu());
  if (adapter === undefined) throw new Error("there is no adapter to measure");
  const device = await adapter.requestDevice();
  try {
    const usage = storage | copySrc | copyDst;
    const [a, b, out] = [size, size, 16].map((size) => device.createBuffer({ size, usage })) as [
      GPUBuffer,
      GPUBuffer,
      GPUBuffer,
    ];
    const module = device.createShaderModule({ code: wgsl });
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [a, b, out].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const read = await fastest(device, (encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups);
      pass.end();
    });
    const copied = await fastest(device, (encoder) => encoder.copyBufferToBuffer(a, 0, b, 0, size));
    return Math.max(read, copied);
  } finally {
    device.destroy();
  }
}

/** Bytes a second of what `record` records, which moves twice `size`. */
async function fastest(device: GPUDevice, record: (encoder: GPUCommandEncoder) => void): Promise<number> {
  const time = async (count: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < count; i++) record(encoder);
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - start) / count;
  };
  await time(1);
  let count = 1;
  let least = await time(count);
  while (least * count < longEnough) {
    count *= 2;
    least = await time(count);
  }
  for (let i = 0; i < 2; i++) least = Math.min(least, await time(count));
  return (2 * size * 1000) / least;
}
