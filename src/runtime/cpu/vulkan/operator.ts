import type { Tensor } from "../../../tensor/tensor.ts";
import type { GraphTensor } from "./graph-tensor.ts";
import { type Kind, type Memory, result, results, writtenInt } from "./kinds.ts";

/** Half sentences about a call: why ExecuTorch's runtime refuses it, or computes something else. */
export type Faults = readonly (string | false | undefined | null)[];

/** An op of ExecuTorch's Vulkan backend: the arguments that a call of it has, and what it does with them. */
export interface Operator {
  /** All arguments in the order of a call, the results last. */
  readonly params: readonly Kind<unknown, unknown>[];
  /** Runs when the graph is loaded, and not with it. */
  readonly isOnce?: boolean;
  /** What is wrong with arguments that are of the kinds of `params`. */
  check(memory: Memory, args: readonly number[]): Faults;
  /** @throws RangeError with a sentence */
  run(memory: Memory, args: readonly number[]): void;
}

export type Operators = Readonly<Record<string, Operator>>;

type Kinds = readonly Kind<unknown, unknown>[];
type ReadOf<P extends Kinds> = { readonly [I in keyof P]: P[I] extends Kind<infer T, infer _> ? T : never };
type DeclaredOf<P extends Kinds> = {
  readonly [I in keyof P]: P[I] extends Kind<infer _, infer D> ? D : never;
};

const read = <P extends Kinds>(params: P, memory: Memory, args: readonly number[]) =>
  params.map((kind, i) => kind.read(memory, args[i]!)) as unknown as ReadOf<P>;
const declared = <P extends Kinds>(params: P, memory: Memory, args: readonly number[]) =>
  params.map((kind, i) => kind.declared(memory, args[i]!)) as unknown as DeclaredOf<P>;

type Check<P extends Kinds, R extends readonly unknown[] = []> = (
  ...args: [...DeclaredOf<P>, ...R]
) => Faults;

/** One whose result is a tensor. `compute` gets it too, for its type. */
export const op = <const P extends Kinds>(
  params: P,
  compute: (...args: [...ReadOf<P>, GraphTensor]) => Tensor,
  check: Check<P, [GraphTensor]> = () => [],
): Operator => ({
  params: [...params, result],
  check: (memory, args) =>
    check(...declared(params, memory, args), result.declared(memory, args[params.length]!)),
  run(memory, args) {
    const target = result.read(memory, args[params.length]!);
    target.write(compute(...read(params, memory, args), target));
  },
});

/** One whose results are tensors, in a list. */
export const listOp = <const P extends Kinds>(
  params: P,
  compute: (...args: ReadOf<P>) => readonly Tensor[],
  check: Check<P, [readonly GraphTensor[]]>,
): Operator => ({
  params: [...params, results],
  check: (memory, args) =>
    check(...declared(params, memory, args), results.declared(memory, args[params.length]!)),
  run(memory, args) {
    const computed = compute(...read(params, memory, args));
    results.read(memory, args[params.length]!).forEach((target, i) => {
      target.write(computed[i]!);
    });
  },
});

/** One whose result is an integer. */
export const intOp = <const P extends Kinds>(
  params: P,
  compute: (...args: ReadOf<P>) => number,
  check: Check<P> = () => [],
): Operator => ({
  params: [...params, writtenInt],
  check: (memory, args) => check(...declared(params, memory, args)),
  run(memory, args) {
    memory[args[params.length]!] = compute(...read(params, memory, args)) | 0;
  },
});

/** One that changes what its arguments hold. */
export const effect = <const P extends Kinds>(
  params: P,
  apply: (...args: ReadOf<P>) => void,
  check: Check<P>,
): Operator => ({
  params,
  check: (memory, args) => check(...declared(params, memory, args)),
  run: (memory, args) => apply(...read(params, memory, args)),
});
