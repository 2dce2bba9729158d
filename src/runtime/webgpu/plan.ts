import type { Dim } from "../../tensor/dim.ts";

/**
 * A graph made ready for a GPU ahead of time: shaders, buffers, and the dispatches of a call in order. Plain data;
 * `backends/webgpu` makes it, `serialize/plan-encoder.ts` and `plan-decoder.ts` write and read it, and
 * `executor.ts` beside this file runs it without knowing what any of it computes.
 */
export interface Plan {
  /**
   * The symbols of the graph, in the order of their words in the symbols buffer: u32 each, at most four. Shaders
   * see it as a uniform `vec4<u32>`.
   */
  readonly symbols: readonly string[];
  /** WGSL. */
  readonly modules: readonly string[];
  readonly pipelines: readonly PlanPipeline[];
  readonly buffers: readonly PlanBuffer[];
  /** In order of preference: the first whose needs an adapter meets is the one that runs. */
  readonly variants: readonly PlanVariant[];
}

/** How a shader sees a buffer: read-only storage, storage that it reads and writes, or the symbols as a uniform. */
export type BindingAccess = "constant" | "value" | "symbols";

export interface PlanPipeline {
  readonly label: string;
  /** Index into `modules`; the entry point is `main`. */
  readonly module: number;
  /** Of bindings 0, 1, … of group 0. */
  readonly bindings: readonly BindingAccess[];
}

export type PlanBuffer =
  /** Constants of the graph, one behind the other. */
  | { readonly kind: "weights"; readonly size: number; readonly parts: readonly WeightPart[] }
  /** A state of the graph; it lasts from call to call, zero at first. */
  | { readonly kind: "state"; readonly name: string; readonly size: number }
  /** An input of the graph, at the largest size that a call may give it; its elements lie as `plain` says. */
  | { readonly kind: "input"; readonly name: string; readonly size: number }
  | { readonly kind: "output"; readonly name: string; readonly size: number }
  /** A range of the variant's arena; what shares it is never needed at the same time. */
  | { readonly kind: "scratch"; readonly offset: number; readonly size: number }
  /** The symbols buffer, for the shader that moves on to the next position. */
  | { readonly kind: "symbols" }
  /** Tokens that were chosen on the GPU, u32: that after position p is at p modulo the number there is room for. */
  | { readonly kind: "sampled"; readonly size: number }
  /** The likeliest tokens: `count` ids as u32, then as many logits as f32, largest first. */
  | { readonly kind: "candidates"; readonly count: number };

/**
 * How a constant's elements lie in GPU memory. `plain`: as in the program, but i64 as i32, u64 as u32, f64 as f32, and
 * bool as u32. `ternary-codes`: blocks of 256 weights
 * in 64 bytes, those of ggml's tq2_0 without its scale, whatever ternary format the program has.
 */
export const weightLayouts = ["plain", "ternary-codes"] as const;
export type WeightLayout = (typeof weightLayouts)[number];

/** A part of a buffer that a constant of the graph fills, or some rows of it. In bytes, in the given layout. */
export interface WeightPart {
  /** The constant, by its number among the graph's values. */
  readonly value: number;
  readonly layout: WeightLayout;
  /** The first byte of the constant that is taken. A multiple of 4. */
  readonly from: number;
  readonly size: number;
  /** Where in the buffer it goes. A multiple of 4. */
  readonly offset: number;
}

/** What an adapter must offer. */
export interface DeviceNeeds {
  readonly features: readonly string[];
  /** Language features of WGSL. */
  readonly languageFeatures: readonly string[];
  /** At least, by the names that WebGPU gives them. */
  readonly limits: Readonly<Record<string, number>>;
  /** Invocations that a subgroup must have at least; 0 where there need not be subgroups. */
  readonly minSubgroupSize: number;
  /** Only for adapters that run shaders on the CPU. */
  readonly software: boolean;
}

export interface PlanVariant {
  readonly name: string;
  readonly needs: DeviceNeeds;
  /** Bytes of scratch memory. */
  readonly arenaSize: number;
  /** Ways to run a call; exactly one fits every size that a call may have. */
  readonly schedules: readonly PlanSchedule[];
  /**
   * Runs after a call, on its logits: chooses the likeliest token, notes it among the sampled ones, makes it the
   * next call's input and moves the symbols on. Absent for what is no language model with a cache.
   */
  readonly greedy: readonly PlanStep[] | undefined;
  /** Runs after a call: finds the likeliest tokens. */
  readonly candidates: readonly PlanStep[] | undefined;
}

export interface PlanSchedule {
  readonly name: string;
  /** Inclusive bounds of symbols; symbols that are not named may have any value. */
  readonly when: readonly { readonly symbol: string; readonly min: number; readonly max: number }[];
  readonly steps: readonly PlanStep[];
}

/** What a step does, for profiles. */
export const stepClasses = ["matmul", "attention", "elementwise", "movement", "sampling"] as const;
export type StepClass = (typeof stepClasses)[number];

/** One dispatch. */
export interface PlanStep {
  /** Name of the kernel. */
  readonly kernel: string;
  readonly class: StepClass;
  /** Where in the model it comes from. */
  readonly source: string;
  readonly pipeline: number;
  /** What the bindings show, in order; the symbols buffer is not among them. */
  readonly bindings: readonly BufferRange[];
  readonly workgroups: readonly [Dim, Dim, Dim];
}

export interface BufferRange {
  /** Index into `Plan.buffers`. */
  readonly buffer: number;
  /** In bytes, from where the buffer begins; with a scratch buffer's own offset a multiple of 256. */
  readonly offset: number;
  readonly size: number;
}
