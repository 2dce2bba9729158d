import type { DeviceNeeds } from "../../../runtime/webgpu/plan.ts";
import { bytesOf } from "../lowering/buffers.ts";
import type { Step } from "../lowering/emitter.ts";
import { defaultLimits, type Target } from "../target.ts";

/** What an adapter must have for steps that were written for a target: limits only where they exceed the default. */
export function needsOf(target: Target, steps: readonly Step[]): DeviceNeeds {
  let binding = 0;
  let buffer = 0;
  for (const { bindings } of steps)
    for (const { memory, size } of Object.values(bindings)) {
      binding = Math.max(binding, size);
      buffer = Math.max(buffer, bytesOf(memory));
    }
  return {
    features: target.reduction === "subgroup" ? ["subgroups"] : [],
    languageFeatures: target.packedDot ? ["packed_4x8_integer_dot_product"] : [],
    limits: {
      ...(binding > defaultLimits.maxStorageBufferBindingSize && { maxStorageBufferBindingSize: binding }),
      ...(buffer > defaultLimits.maxBufferSize && { maxBufferSize: buffer }),
    },
    minSubgroupSize: target.reduction === "subgroup" ? target.subgroupSize : 0,
    software: target.reduction === "serial",
  };
}
