import type { Graph, Value } from "../../ir/graph.ts";
import { type Dim, dimKey, isSymbolic } from "../../tensor/dim.ts";
import type { IntOp } from "./aten.ts";
import type { Int } from "./value.ts";

/** Where the value of a symbol comes from: the size of an input's axis, or its only element. */
interface SizeSource {
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

interface Arithmetic {
  source(symbol: string): Int;
  apply(op: Extract<IntOp, `executorch_prim::${string}`>, a: Int, b: Int): Int;
  size(dim: Dim): Int;
}

/** Writes a size down as arithmetic on integers. */
export function computeSize(dim: Exclude<Dim, number>, { source, apply, size }: Arithmetic): Int {
  const factor = (atom: (typeof dim.terms)[number]["atoms"][number]): Int => {
    if (atom.kind === "symbol") return source(atom.key);
    const [a, b] = [size(atom.a), size(atom.b)];
    if (atom.kind === "floordiv") return apply("executorch_prim::floordiv.Scalar", a, b);
    if (atom.kind === "max") return apply("executorch_prim::sym_max.Scalar", a, b);
    if (atom.kind === "min") return apply("executorch_prim::sym_min.Scalar", a, b);
    const whole = apply("executorch_prim::floordiv.Scalar", a, b);
    return apply("executorch_prim::sub.Scalar", a, apply("executorch_prim::mul.Scalar", whole, b));
  };
  let sum: Int | undefined = dim.constant === 0 ? undefined : dim.constant;
  for (const { coefficient, atoms } of dim.terms) {
    let product: Int | undefined = coefficient === 1 ? undefined : coefficient;
    for (const atom of atoms) {
      const value = factor(atom);
      product = product === undefined ? value : apply("executorch_prim::mul.Scalar", product, value);
    }
    product ??= coefficient;
    sum = sum === undefined ? product : apply("executorch_prim::add.Scalar", sum, product);
  }
  return sum ?? 0;
}
