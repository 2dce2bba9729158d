import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { adoptDevice, type ChosenDevice, findAdapter, isSoftware, requestDevice } from "./webgpu/device.ts";
import type { Plan } from "./webgpu/plan.ts";

/** Where to look for adapters, or what gives it when it is needed. */
export type GpuProvider = GPU | (() => Promise<GPU>);

/**
 * A device for a plan. `auto` leaves out adapters that run shaders on the CPU.
 * @param profile to be able to measure times on the GPU where the adapter can
 * @throws BitnetcError that says why there is none
 */
export async function chooseDevice(
  plan: Plan | undefined,
  device: "auto" | "webgpu" | GPUDevice,
  provider: GpuProvider | undefined = globalThis.navigator?.gpu,
  profile = false,
): Promise<ChosenDevice> {
  const unavailable = (why: string, hint?: string) =>
    new BitnetcError(diagnostics.deviceUnavailable(why, hint));
  if (plan === undefined)
    throw unavailable(
      "it holds no plan for a GPU, being for another backend or with nodes that no kernel runs: `bitnetc explain` names those",
    );
  if (typeof device !== "string") return adoptDevice(device, plan);
  const gpu = typeof provider === "function" ? await provider() : provider;
  if (gpu === undefined)
    throw unavailable(
      "there is no WebGPU",
      "Browsers of the last years have it, for pages of https and localhost.",
    );
  const adapter = await findAdapter(gpu);
  if (adapter === undefined) throw unavailable("there is no graphics adapter that WebGPU can use");
  if (device === "auto" && isSoftware(adapter)) {
    const { vendor, architecture, description } = adapter.info;
    throw new BitnetcError(diagnostics.deviceSoftware(description || `${vendor} ${architecture}`));
  }
  return requestDevice(gpu, adapter, plan, profile);
}
