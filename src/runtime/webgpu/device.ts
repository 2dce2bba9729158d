import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, messageOf } from "../../errors.ts";
import type { DeviceNeeds, Plan, PlanVariant } from "./plan.ts";

/** What a device offers. */
export interface DeviceFacts {
  readonly features: { has(name: string): boolean };
  readonly limits: Readonly<Record<string, number | undefined>>;
  /** Language features of WGSL. */
  readonly languageFeatures: { has(name: string): boolean };
  /** Invocations of its smallest subgroup; 0 without subgroups. */
  readonly minSubgroupSize: number;
  /** Whether it runs shaders on the CPU. */
  readonly software: boolean;
}

/** A device, and the way in which it runs a plan. */
export interface ChosenDevice {
  readonly device: GPUDevice;
  readonly variant: PlanVariant;
  /** Such as `nvidia hopper`. */
  readonly name: string;
  /** Whether it was requested here, and is to be destroyed in the end. */
  readonly isOwn: boolean;
}

/** Whether an adapter runs shaders on the CPU, as SwiftShader and lavapipe do. */
export const isSoftware = (adapter: { readonly info: GPUAdapterInfo }): boolean =>
  isFallback(infoOf(adapter.info));

const isFallback = ({ isFallbackAdapter, architecture = "" }: Partial<GPUAdapterInfo>): boolean =>
  isFallbackAdapter === true || architecture === "swiftshader";

/** @returns undefined when there is none */
export const findAdapter = async (gpu: GPU): Promise<GPUAdapter | undefined> =>
  (await gpu.requestAdapter({ powerPreference: "high-performance" })) ?? undefined;

/**
 * The first variant of a plan that a device can run.
 * @throws BitnetcError `device-unfit` with what it lacks for each of them
 */
export function chooseVariant({ variants }: Plan, facts: DeviceFacts): PlanVariant {
  const lacks = variants.map(({ needs }) => lacking(needs, facts));
  const chosen = variants.find((_, i) => lacks[i]!.length === 0);
  if (chosen !== undefined) return chosen;
  throw new BitnetcError(variants.map(({ name }, i) => diagnostics.deviceUnfit(name, lacks[i]!.join("; "))));
}

function lacking(needs: DeviceNeeds, facts: DeviceFacts): readonly string[] {
  const lacks: string[] = [];
  for (const name of needs.features)
    if (!facts.features.has(name)) lacks.push(`it lacks the feature ${name}`);
  for (const name of needs.languageFeatures)
    if (!facts.languageFeatures.has(name)) lacks.push(`its WGSL lacks ${name}`);
  for (const [name, need] of Object.entries(needs.limits)) {
    const have = facts.limits[name] ?? 0;
    // of alignments the smaller one is the better one
    const fits = name.startsWith("min") ? have > 0 && have <= need : have >= need;
    if (!fits) lacks.push(`${name} must be ${need} and is ${have}`);
  }
  if (facts.minSubgroupSize < needs.minSubgroupSize)
    lacks.push(
      `its subgroups must have ${needs.minSubgroupSize} invocations and may have ${facts.minSubgroupSize}`,
    );
  if (needs.software && !facts.software) lacks.push("it is made for adapters that run shaders on the CPU");
  return lacks;
}

/**
 * Requests a device that can run a plan, with nothing but what the plan needs.
 * @param profile to be able to measure times on the GPU where the adapter can
 * @throws BitnetcError `device-unfit`; `device-refused` when the adapter gives none
 */
export async function requestDevice(
  gpu: GPU,
  adapter: GPUAdapter,
  plan: Plan,
  profile = false,
): Promise<ChosenDevice> {
  const facts = factsOf(adapter, infoOf(adapter.info), gpu.wgslLanguageFeatures ?? new Set());
  const variant = chooseVariant(plan, facts);
  const features = new Set(variant.needs.features);
  if (profile && adapter.features.has("timestamp-query")) features.add("timestamp-query");
  try {
    const device = await adapter.requestDevice({
      requiredFeatures: [...features] as GPUFeatureName[],
      requiredLimits: { ...variant.needs.limits },
    });
    return { device, variant, name: nameOf(infoOf(adapter.info)), isOwn: true };
  } catch (cause) {
    throw new BitnetcError(diagnostics.deviceRefused(messageOf(cause)), { cause });
  }
}

/**
 * Checks whether a device that somebody else requested can run a plan.
 * @throws BitnetcError `device-unfit`
 */
export async function adoptDevice(device: GPUDevice, plan: Plan): Promise<ChosenDevice> {
  const names = new Set(plan.variants.flatMap(({ needs }) => needs.languageFeatures));
  const languageFeatures = new Set<string>();
  // a device does not say what its WGSL has
  for (const name of names) if (await compiles(device, `requires ${name};`)) languageFeatures.add(name);
  const info = infoOf(device.adapterInfo);
  const variant = chooseVariant(plan, factsOf(device, info, languageFeatures));
  return { device, variant, name: nameOf(info), isOwn: false };
}

async function compiles(device: GPUDevice, code: string): Promise<boolean> {
  device.pushErrorScope("validation");
  device.createShaderModule({ code });
  return (await device.popErrorScope()) === null;
}

function factsOf(
  { features, limits }: GPUAdapter | GPUDevice,
  info: Partial<GPUAdapterInfo>,
  languageFeatures: DeviceFacts["languageFeatures"],
): DeviceFacts {
  return {
    features,
    limits: limits as unknown as DeviceFacts["limits"],
    languageFeatures,
    // 4 is the smallest that WebGPU allows
    minSubgroupSize: features.has("subgroups") ? info.subgroupMinSize || 4 : 0,
    software: isFallback(info),
  };
}

/** Older browsers say nothing of their adapters. */
const infoOf = (info: GPUAdapterInfo | undefined): Partial<GPUAdapterInfo> => info ?? {};

function nameOf({ vendor = "", architecture, device = "", description }: Partial<GPUAdapterInfo>): string {
  if (architecture) return `${vendor} ${architecture}`.trim();
  return (device.startsWith(vendor) ? device : `${vendor} ${device}`) || description || "unknown adapter";
}
