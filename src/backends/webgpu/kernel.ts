import type { BindingAccess, StepClass } from "../../runtime/webgpu/plan.ts";
import type { Dim } from "../../tensor/dim.ts";
import type { Target } from "./target.ts";

/**
 * A family of shaders: `build` writes the one for given parameters and a given target. Each kernel is a folder with
 * its contract, its WGSL, and its cases (`cases.ts`), which tests and benchmarks run.
 */
export interface Kernel<P extends object = object> {
  readonly name: string;
  /** What it computes: bindings with shapes, dtypes and layouts, and the formula. */
  readonly doc: string;
  readonly class: StepClass;
  /** Why it cannot be built for these parameters, as a sentence; undefined when it can. */
  supports?(params: P, target: Target): string | undefined;
  /** Depends on its arguments alone: the same ones give the same text. */
  build(params: P, target: Target): KernelCode;
}

export interface KernelCode {
  /** One compute entry point, `main`. */
  readonly wgsl: string;
  /** Of bindings 0, 1, … of group 0. The symbols, where the shader uses them, come last. */
  readonly bindings: readonly { readonly name: string; readonly access: BindingAccess }[];
  readonly workgroups: readonly [Dim, Dim, Dim];
}

/** Lets TypeScript infer a kernel's type. */
export const defineKernel = <P extends object>(kernel: Kernel<P>): Kernel<P> => kernel;
