import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, messageOf } from "../errors.ts";

const holder = globalThis as { bitnetcGpus?: Map<string, GPU> };

/** Options of Dawn with which it measures time exactly: otherwise in steps of 100 µs. */
export const profilingOptions: readonly string[] = ["disable-dawn-features=timestamp_quantization"];

/**
 * WebGPU in Node, by the package webgpu (Dawn), which is loaded on demand.
 * @param options of Dawn, such as `backend=vulkan` or `enable-dawn-features=…`
 * @throws BitnetcError `webgpu-package` when the package is not there or does not load
 */
export async function nodeGpu(options: readonly string[] = []): Promise<GPU> {
  // Dawn crashes when its instance is collected before its devices are, so it stays reachable for good.
  holder.bitnetcGpus ??= new Map();
  const key = options.join("\n");
  let gpu = holder.bitnetcGpus.get(key);
  if (gpu === undefined) {
    gpu = (await loadDawn()).create([...options]);
    holder.bitnetcGpus.set(key, gpu);
  }
  return gpu;
}

async function loadDawn() {
  try {
    return await import("webgpu");
  } catch (cause) {
    const isMissing = (cause as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND";
    throw new BitnetcError(diagnostics.webgpuPackage(isMissing ? undefined : messageOf(cause)), { cause });
  }
}
