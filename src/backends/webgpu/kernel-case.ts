import type { Kernel } from "./kernel.ts";
import type { Target } from "./target.ts";

/** What a buffer holds, as the array of its elements. */
export type Elements =
  | Float32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>;

/** One use of a kernel with known inputs and results, for tests. */
export interface KernelCase<P extends object = object> {
  readonly name: string;
  readonly params: P;
  /** Values of the symbols that sizes of the parameters depend on, in the order of their words. */
  readonly symbols?: Readonly<Record<string, number>>;
  /** Only on these targets; everywhere unless given. */
  on?(target: Target): boolean;
  /** What each binding holds before, by name; those that are only written hold rubbish of the right size. */
  inputs(): Readonly<Record<string, Elements>>;
  /** What bindings hold afterwards. Computed by the reference kernels or by a plain loop, never by the shader. */
  expected(inputs: Readonly<Record<string, Elements>>): Readonly<Record<string, Expected>>;
}

export interface Expected {
  readonly elements: Elements;
  /**
   * The largest difference that is allowed, relative to the largest magnitude of the expected elements. Left out,
   * every element must be equal.
   */
  readonly tolerance?: number;
}

/** One use of a kernel at a size of interest, for benchmarks: bytes that it must move and operations it must do. */
export interface KernelBench<P extends object = object> {
  readonly name: string;
  readonly params: P;
  readonly symbols?: Readonly<Record<string, number>>;
  /** Bytes of each binding. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** Multiplications with additions. */
  readonly operations: number;
}

/** What a kernel's `cases.ts` exports. */
export interface KernelCases<P extends object = object> {
  readonly kernel: Kernel<P>;
  readonly cases: readonly KernelCase<P>[];
  readonly benches: readonly KernelBench<P>[];
}

/** Lets TypeScript infer the type of a kernel's parameters. */
export const defineCases = <P extends object>(cases: KernelCases<P>): KernelCases<P> => cases;
