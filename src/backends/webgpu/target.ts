/** What a kernel's shader may count on. */
export interface Target {
  readonly name: string;
  /**
   * How the invocations that share a sum add up their parts: within a subgroup, through workgroup memory, or not at
   * all, since each sum is one invocation's own. The last is for adapters that run shaders on the CPU, where a
   * barrier costs more than the work between two of them.
   */
  readonly reduction: "subgroup" | "workgroup" | "serial";
  /**
   * The smallest subgroup that a shader may meet, a power of two; it works with larger ones too. Only where
   * `reduction` is `subgroup`.
   */
  readonly subgroupSize: number;
  /** Whether WGSL has `dot4I8Packed` and its kin (language feature `packed_4x8_integer_dot_product`). */
  readonly packedDot: boolean;
  /** Bytes that one storage binding may show. */
  readonly maxBindingSize: number;
}

/** WebGPU's default limits, which every adapter offers (WebGPU, section 3.6.2). */
export const defaultLimits = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
  minStorageBufferOffsetAlignment: 256,
} as const;

const base = { subgroupSize: 0, packedDot: true, maxBindingSize: defaultLimits.maxStorageBufferBindingSize };

/** The targets that a program is planned for, in order of preference. */
export const targets = {
  /** Adapters that run shaders on the CPU. */
  software: { ...base, name: "software", reduction: "serial" },
  subgroups: { ...base, name: "subgroups", reduction: "subgroup", subgroupSize: 16 },
  workgroups: { ...base, name: "workgroups", reduction: "workgroup" },
  /** Nothing but what the first version of WebGPU has. */
  baseline: { ...base, name: "baseline", reduction: "workgroup", packedDot: false },
} as const satisfies Readonly<Record<string, Target>>;
