import type { Tensor } from "../../../tensor/tensor.ts";
import type { TensorCell } from "./tensor-cell.ts";
import { cell, type Kind, type Values } from "./values.ts";

/** An operator of ExecuTorch's libraries: the arguments that a call of it has, and what it does with them. */
export interface Operator {
  /** All arguments in the order of a call, the results last. */
  readonly params: readonly Kind<unknown>[];
  /** Arguments that are written, by place. */
  readonly writes: readonly number[];
  /** Those of them whose old elements matter. */
  readonly changes: readonly number[];
  /** Whether the first of those that are written follows once more at the end of a call, or all of them as a list. */
  readonly repeatsResult: boolean | "list";
  /** Reads each element of its arguments before it writes that of the result: they may be the same memory. */
  readonly inPlace: boolean;
  run(values: Values, args: readonly number[]): void;
}

export type Operators = Readonly<Record<string, Operator>>;

type Kinds = readonly Kind<unknown>[];
type ContentsOf<P extends Kinds> = { readonly [I in keyof P]: P[I] extends Kind<infer T> ? T : never };

const read = <P extends Kinds>(params: P, values: Values, args: readonly number[]) =>
  params.map((kind, i) => kind.read(values, args[i]!)) as unknown as ContentsOf<P>;

/** An out-variant with one result. `compute` also gets the tensor that takes it, for its type. */
export const out = <const P extends Kinds>(
  params: P,
  compute: (...args: [...ContentsOf<P>, TensorCell]) => Tensor,
  inPlace = false,
): Operator => ({
  params: [...params, cell],
  writes: [params.length],
  changes: [],
  repeatsResult: true,
  inPlace,
  run(values, args) {
    const result = cell.read(values, args[params.length]!);
    result.write(compute(...read(params, values, args), result));
  },
});

/** An out-variant with several results, which `compute` gives in order. */
export const outs = <const P extends Kinds>(
  params: P,
  count: number,
  compute: (...args: ContentsOf<P>) => readonly Tensor[],
): Operator => {
  const places = Array.from({ length: count }, (_, i) => params.length + i);
  return {
    params: [...params, ...places.map(() => cell)],
    writes: places,
    changes: [],
    repeatsResult: "list",
    inPlace: false,
    run(values, args) {
      const results = compute(...read(params, values, args));
      places.forEach((at, i) => {
        cell.read(values, args[at]!).write(results[i]!);
      });
    },
  };
};

/** An out-variant that works element by element. */
export const elementwise = <const P extends Kinds>(
  params: P,
  compute: (...args: [...ContentsOf<P>, TensorCell]) => Tensor,
): Operator => out(params, compute, true);

/** One that writes some of its arguments, by place, and gives back the first of them; `changes` are as of an operator. */
export const mutating = <const P extends Kinds>(
  params: P,
  writes: readonly number[],
  apply: (...args: ContentsOf<P>) => void,
  changes = writes,
): Operator => ({
  params,
  writes,
  changes,
  repeatsResult: true,
  inPlace: false,
  run: (values, args) => apply(...read(params, values, args)),
});

/** One whose result is no tensor: it is the last argument, of the kind `result`. */
export const valued = <const P extends Kinds>(
  params: P,
  result: Kind<number | boolean>,
  compute: (...args: ContentsOf<P>) => number | boolean,
): Operator => ({
  params: [...params, result],
  writes: [],
  changes: [],
  repeatsResult: false,
  inPlace: true,
  run(values, args) {
    const at = args[params.length]!;
    const value = compute(...read(params, values, args));
    const { type } = values.declared[at]!;
    if (
      typeof value === "boolean"
        ? type !== "Bool"
        : type === "Bool" || (type === "Int" && !Number.isInteger(value))
    )
      throw new RangeError(`Its result ${value} goes to a value of type ${type}.`);
    values.contents[at] = value;
  },
});
