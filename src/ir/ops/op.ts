import type { Dim } from "../../tensor/dim.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../type.ts";
import type { WeightRef } from "../weights.ts";

/**
 * An op's signature, as a type. `Arg` is the union of its argument names in which `x?` may be left out
 * and `xs*` takes a list; `Attrs` are compile-time numbers, strings, booleans or lists of them.
 */
export interface OpSignature<Arg extends string = string, Attrs extends object = object> {
  readonly args: Arg;
  readonly attrs: Attrs;
}

export type AttrValue = number | string | boolean | readonly number[] | readonly string[];
/** An op without attributes. */
export type NoAttrs = Readonly<Record<never, never>>;

type Required<A extends string> = A extends `${string}?` | `${string}*` ? never : A;
type Optional<A extends string> = A extends `${infer Name}?` ? Name : never;
type Variadic<A extends string> = A extends `${infer Name}*` ? Name : never;

/** Arguments by name, each a `T`: a `Value` in a graph, a `Tensor` in a kernel, a `Hole` in a pattern. */
export type Args<A extends string, T> = { readonly [K in Required<A>]: T } & {
  readonly [K in Optional<A>]?: T | undefined;
} & { readonly [K in Variadic<A>]: readonly T[] };

/** What shape inference may look at. */
export interface ArgInfo {
  readonly type: TensorType;
  /** The elements of a small integer or bool tensor, where they are known, in row-major order. */
  readonly contents?: readonly Dim[] | undefined;
}

/** What an argument holds when it is a constant, where that decides how it is stored and counted. */
export const weightKinds = [
  "ternary",
  "ternary-scale",
  "embedding",
  "embedding-scale",
  "norm",
  "dense",
] as const;
export type WeightKind = (typeof weightKinds)[number];

/** Computes an op's results from its arguments; what it throws as a RangeError is about their elements. */
export type Kernel<S extends OpSignature> = (
  args: Args<S["args"], Tensor>,
  attrs: S["attrs"],
) => readonly Tensor[];

/** Everything there is to know about an op. */
export interface OpDef<S extends OpSignature = OpSignature> {
  /** What it computes, with shapes and the source of the formula. */
  readonly doc: string;
  /** Argument names in order, with their `?` or `*`. */
  readonly args: readonly S["args"][];
  /** The order of the arguments does not matter. */
  readonly commutative?: boolean;
  /** The argument, a state, that is written in place; its new contents are the first result. */
  readonly mutates?: string;
  /** The argument whose rows (all axes but the last) are treated one by one: row i of a result is that of its row i. */
  readonly rowwise?: keyof Args<S["args"], unknown> & string;
  /** The arguments that are weights when they are constants. */
  readonly weights?: { readonly [K in keyof Args<S["args"], unknown>]?: WeightKind };
  /**
   * The arguments that say how to compute rather than what with: sizes, positions, counts. A backend takes their
   * `contents` and needs no tensor of them.
   */
  readonly sizes?: readonly (keyof Args<S["args"], unknown> & string)[];
  /** Result types. @throws InferenceError with a sentence when the arguments do not fit. */
  infer(args: Args<S["args"], ArgInfo>, attrs: S["attrs"]): readonly TensorType[];
  /** Elements of the first result, where the arguments' are known. */
  contents?(args: Args<S["args"], ArgInfo>, attrs: S["attrs"]): readonly Dim[] | undefined;
  /** What is wrong with the arguments beyond what `infer` rejects, as a sentence. */
  verify?(args: Args<S["args"], ArgInfo>, attrs: S["attrs"]): string | undefined;
  /** Applied to a constant: the same elements as a lazy view of it, where that beats computing the result. */
  view?(
    weight: WeightRef,
    attrs: S["attrs"],
    result: { readonly dtype: DType; readonly shape: readonly number[] },
  ): WeightRef | undefined;
  /** The reference kernel; see `runtime/cpu/kernels`. */
  readonly kernel: Kernel<S>;
}

export type OpTable<T extends { [K in keyof T]: OpSignature }> = { readonly [K in keyof T]: OpDef<T[K]> };

/** The kernels of a family of ops: one for each, or it does not compile. */
export type KernelTable<T extends { [K in keyof T]: OpSignature }> = {
  readonly [K in keyof T]: Kernel<T[K]>;
};

/** The arguments do not fit the op. The message is a sentence without the op's name. */
export class InferenceError extends Error {}

/** The result's type depends on the elements of an argument, and they are not known. */
export class UnknownElementsError extends InferenceError {
  readonly argument: ArgInfo;
  constructor(message: string, argument: ArgInfo) {
    super(message);
    this.argument = argument;
  }
}
