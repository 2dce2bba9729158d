import * as diagnostics from "../diagnostics.ts";
import type { Graph, Value } from "../ir/graph.ts";
import type { PassContext } from "../passes/pass.ts";
import {
  type Dim,
  dimKey,
  isSymbolic,
  maxOf,
  minOf,
  symbol,
  symbolBounds,
  unboundedDim,
} from "../tensor/dim.ts";

/** Where the value of a symbol comes from: the size of an input's axis, or its only element. */
export interface SizeSource {
  readonly input: Value;
  readonly axis?: number;
}

const isSymbol = (dim: Dim): boolean => isSymbolic(dim) && /^[A-Za-z_][\w.]*$/.test(dim.key);

/** Each symbol that an input tells. */
export function sizeSources({ inputs }: Graph): ReadonlyMap<string, SizeSource> {
  const sources = new Map<string, SizeSource>();
  for (const input of inputs) {
    input.type.shape.forEach((size, axis) => {
      if (isSymbol(size) && !sources.has(dimKey(size))) sources.set(dimKey(size), { input, axis });
    });
    const [only, ...others] = input.contents ?? [];
    if (only !== undefined && others.length === 0 && isSymbol(only) && !sources.has(dimKey(only)))
      sources.set(dimKey(only), { input });
  }
  return sources;
}

export type SizeOp = "add" | "sub" | "mul" | "floordiv" | "max" | "min";

interface Arithmetic<C> {
  source(symbol: string): C | number;
  apply(op: SizeOp, a: C | number, b: C | number): C | number;
  size(dim: Dim): C | number;
}

/**
 * Writes a size down as arithmetic on integers.
 * @typeParam C an integer that is computed when the program runs
 */
export function computeSize<C>(
  dim: Exclude<Dim, number>,
  { source, apply, size }: Arithmetic<C>,
): C | number {
  type Int = C | number;
  const factor = (atom: (typeof dim.terms)[number]["atoms"][number]): Int => {
    if (atom.kind === "symbol") return source(atom.key);
    const [a, b] = [size(atom.a), size(atom.b)];
    if (atom.kind === "floordiv") return apply("floordiv", a, b);
    if (atom.kind === "max") return apply("max", a, b);
    if (atom.kind === "min") return apply("min", a, b);
    const whole = apply("floordiv", a, b);
    return apply("sub", a, apply("mul", whole, b));
  };
  let sum: Int | undefined = dim.constant === 0 ? undefined : dim.constant;
  for (const { coefficient, atoms } of dim.terms) {
    let product: Int | undefined = coefficient === 1 ? undefined : coefficient;
    for (const atom of atoms) {
      const value = factor(atom);
      product = product === undefined ? value : apply("mul", product, value);
    }
    product ??= coefficient;
    sum = sum === undefined ? product : apply("add", sum, product);
  }
  return sum ?? 0;
}

/**
 * Tokens of one call, at most: the scores of attention are [heads, tokens, positions], and memory for the longest call
 * is planned. Longer prompts take several calls.
 */
export const mostTokens = 512;

/** Sizes that stand for others, by the symbol: the same ones with a smaller upper bound. */
export type SizeBounds = ReadonlyMap<string, Dim>;

/**
 * The number of tokens, with the bound that one call has. Without a cache one call has to take them all.
 * @param most tokens of one call
 */
export function callBounds({ inputs, states }: Graph, most = mostTokens): SizeBounds {
  if (states.length === 0) return new Map();
  const input = inputs.find(({ def }) => def.kind === "input" && def.name === "tokens");
  const tokens = input?.type.shape.at(-1);
  if (tokens === undefined || !isSymbolic(tokens) || maxOf(tokens) <= most) return new Map();
  const [only] = symbolBounds(tokens).keys();
  if (only !== tokens.key || minOf(tokens) > most) return new Map();
  return new Map([[only, symbol(only, most, minOf(tokens))]]);
}

/** Reports every axis of an input that has no largest size: there would be no end to the memory that is planned. */
export function reportUnbounded({ inputs }: Graph, report: PassContext["report"]): void {
  for (const { def, type } of inputs)
    type.shape.forEach((size, axis) => {
      if (def.kind === "input" && maxOf(size) >= unboundedDim)
        report(diagnostics.unboundedSize(def.name, axis, dimKey(size)));
    });
}

/** start_pos as a size. @throws Error where it is not known as one; `refuseStart` says so before */
export function startOf(start: Value | undefined): Dim {
  if (start === undefined) return 0;
  const position = start.contents?.[0];
  if (position === undefined) throw new Error("start_pos is not known as a size");
  return position;
}
