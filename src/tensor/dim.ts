/**
 * Symbolic sizes: polynomials with integer coefficients over symbols and over a few opaque functions.
 *
 * A size is a plain number wherever it is known. Everything else is a `SymbolicDim`, kept in a normal form
 * so that two expressions which are equal as polynomials have the same `key`.
 */
export type Dim = number | SymbolicDim;

interface SymbolicDim {
  /** Normal form as text, e.g. `past + 2*seq + 1`; equal keys mean equal sizes. */
  readonly key: string;
  readonly terms: readonly Term[];
  readonly constant: number;
  /** Bounds, inclusive. A symbolic size always carries them. */
  readonly min: number;
  readonly max: number;
}

interface Term {
  readonly coefficient: number;
  /** Factors, sorted by key. */
  readonly atoms: readonly Atom[];
}

type OpaqueFunction = "floordiv" | "mod" | "max" | "min";
type Atom =
  | { readonly kind: "symbol"; readonly key: string; readonly min: number; readonly max: number }
  | {
      readonly kind: OpaqueFunction;
      readonly key: string;
      readonly min: number;
      readonly max: number;
      readonly a: Dim;
      readonly b: Dim;
    };

/** The largest size a tensor's dimension can have when nothing better is known. */
export const unboundedDim = 2 ** 31 - 1;

/** A named size between `min` and `max`, inclusive. */
export function symbol(name: string, max = unboundedDim, min = 0): Dim {
  return make([{ coefficient: 1, atoms: [{ kind: "symbol", key: name, min, max }] }], 0);
}

export const isSymbolic = (dim: Dim): dim is SymbolicDim => typeof dim !== "number";
export const dimKey = (dim: Dim): string => (typeof dim === "number" ? String(dim) : dim.key);
export const sameDim = (a: Dim, b: Dim): boolean => dimKey(a) === dimKey(b);
export const minOf = (dim: Dim): number => (typeof dim === "number" ? dim : dim.min);
export const maxOf = (dim: Dim): number => (typeof dim === "number" ? dim : dim.max);

export const addDims = (a: Dim, b: Dim): Dim =>
  make([...termsOf(a), ...termsOf(b)], constantOf(a) + constantOf(b));
export const subtractDims = (a: Dim, b: Dim): Dim => addDims(a, multiplyDims(b, -1));

/** More than any real size has: beyond it an expression is a mistake, or made to take forever. */
const maxTerms = 4096;

/** @throws RangeError when the product has thousands of terms */
export function multiplyDims(a: Dim, b: Dim): Dim {
  const terms: Term[] = [];
  if (termsOf(a).length * termsOf(b).length > maxTerms) throw new RangeError("a size has too many terms");
  for (const x of withConstant(a)) {
    for (const y of withConstant(b)) {
      const atoms = [...x.atoms, ...y.atoms].sort((p, q) => (p.key < q.key ? -1 : p.key > q.key ? 1 : 0));
      terms.push({ coefficient: x.coefficient * y.coefficient, atoms });
    }
  }
  return make(terms, 0);
}

export const productOf = (dims: readonly Dim[]): Dim => dims.reduce(multiplyDims, 1);

/**
 * floor(a / b). Exact where b divides every term of a; else an opaque `floordiv`. What b = 0 gives means
 * nothing, but it is a number.
 */
export function floorDivideDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return b === 0 ? 0 : Math.floor(a / b) + 0;
  return divideExactly(a, b) ?? opaque("floordiv", a, b);
}

export const ceilDivideDims = (a: Dim, b: number): Dim => floorDivideDims(addDims(a, b - 1), b);

/** a mod b, with the sign of b (as floor division leaves it). */
export function moduloDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return b === 0 ? 0 : a - Math.floor(a / b) * b;
  return divideExactly(a, b) === undefined ? opaque("mod", a, b) : 0;
}

export function maxDims(a: Dim, b: Dim): Dim {
  if (isAtLeast(a, b)) return a;
  return isAtLeast(b, a) ? b : opaque("max", ...inOrder(a, b));
}

export function minDims(a: Dim, b: Dim): Dim {
  if (isAtLeast(a, b)) return b;
  return isAtLeast(b, a) ? a : opaque("min", ...inOrder(a, b));
}

/** Operands whose order does not matter: by key, a number last. */
function inOrder(a: Dim, b: Dim): readonly [Dim, Dim] {
  const isSwapped = isSymbolic(a) === isSymbolic(b) ? dimKey(b) < dimKey(a) : isSymbolic(b);
  return isSwapped ? [b, a] : [a, b];
}

/** Whether a ≥ b is certain. */
export const isAtLeast = (a: Dim, b: Dim): boolean => minOf(subtractDims(a, b)) >= 0;
/** Whether a ≠ b is certain. */
export function areDifferent(a: Dim, b: Dim): boolean {
  const difference = subtractDims(a, b);
  return minOf(difference) > 0 || maxOf(difference) < 0;
}

/** Replaces symbols by other sizes, everywhere in the expression. */
export function substituteDim(dim: Dim, by: ReadonlyMap<string, Dim>): Dim {
  if (typeof dim === "number") return dim;
  let sum: Dim = dim.constant;
  for (const term of dim.terms) {
    let product: Dim = term.coefficient;
    for (const atom of term.atoms) product = multiplyDims(product, substituteAtom(atom, by));
    sum = addDims(sum, product);
  }
  return sum;
}

function substituteAtom(atom: Atom, by: ReadonlyMap<string, Dim>): Dim {
  if (atom.kind === "symbol") return by.get(atom.key) ?? make([{ coefficient: 1, atoms: [atom] }], 0);
  return functions[atom.kind](substituteDim(atom.a, by), substituteDim(atom.b, by));
}

/** The size for given values of the symbols. @throws RangeError naming a symbol that has no value. */
export function evaluateDim(dim: Dim, values: ReadonlyMap<string, number>): number {
  if (typeof dim === "number") return dim;
  const result = substituteDim(dim, values);
  if (typeof result === "number") return result;
  const missing = [...symbolsOf(result)].filter((name) => !values.has(name));
  throw new RangeError(`size ${dim.key} needs a value for ${missing.join(", ")}`);
}

/** Names of the symbols that a size depends on. */
export const symbolsOf = (dim: Dim): Set<string> => new Set(symbolBounds(dim).keys());

/** The symbols of a size with their bounds. */
export function symbolBounds(dim: Dim, into = new Map<string, { min: number; max: number }>()) {
  for (const term of termsOf(dim)) {
    for (const atom of term.atoms) {
      if (atom.kind === "symbol") into.set(atom.key, { min: atom.min, max: atom.max });
      else {
        symbolBounds(atom.a, into);
        symbolBounds(atom.b, into);
      }
    }
  }
  return into;
}

/**
 * Reads an expression written as `key` is: `+ - *`, parentheses, integers, names, and the functions
 * floordiv, mod, max, min. `lookup` gives the size that a name stands for, or throws a SyntaxError.
 * @returns undefined when the text is not such an expression
 */
export function parseDim(text: string, lookup: (name: string) => Dim): Dim | undefined {
  const tokens = text.match(/\d+|[A-Za-z_][\w.]*|\/\/|[-+*(),]|\S/g) ?? [];
  let at = 0;
  const accept = (token: string): boolean => tokens[at] === token && ++at > 0;
  const primary = (): Dim => {
    const token = tokens[at++];
    if (token === undefined) throw new SyntaxError();
    if (/^\d/.test(token)) return Number(token);
    if (token === "-") return multiplyDims(-1, primary());
    if (token === "(") {
      const inner = sum();
      if (!accept(")")) throw new SyntaxError();
      return inner;
    }
    if (!/^[A-Za-z_]/.test(token)) throw new SyntaxError();
    if (!accept("(")) return lookup(token);
    const a = sum();
    if (!accept(",")) throw new SyntaxError();
    const b = sum();
    if (!accept(")") || !Object.hasOwn(functions, token)) throw new SyntaxError();
    return functions[token as OpaqueFunction](a, b);
  };
  const product = (): Dim => {
    let value = primary();
    for (;;) {
      if (accept("*")) value = multiplyDims(value, primary());
      else if (accept("//")) value = floorDivideDims(value, primary());
      else return value;
    }
  };
  function sum(): Dim {
    let value = product();
    for (;;) {
      if (accept("+")) value = addDims(value, product());
      else if (accept("-")) value = subtractDims(value, product());
      else return value;
    }
  }
  try {
    const value = sum();
    return at === tokens.length ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const functions: { readonly [F in OpaqueFunction]: (a: Dim, b: Dim) => Dim } = {
  floordiv: floorDivideDims,
  mod: moduloDims,
  max: maxDims,
  min: minDims,
};

const termsOf = (dim: Dim): readonly Term[] => (typeof dim === "number" ? [] : dim.terms);
const constantOf = (dim: Dim): number => (typeof dim === "number" ? dim : dim.constant);
const withConstant = (dim: Dim): readonly Term[] =>
  constantOf(dim) === 0 ? termsOf(dim) : [...termsOf(dim), { coefficient: constantOf(dim), atoms: [] }];

const monomialKey = (atoms: readonly Atom[]): string => atoms.map((atom) => atom.key).join("*");

/** Brings a sum of terms to normal form: like terms joined, zero terms gone, terms sorted by key. */
function make(terms: readonly Term[], constant: number): Dim {
  const joined = new Map<string, Term>();
  let rest = constant;
  for (const term of terms) {
    if (term.atoms.length === 0) {
      rest += term.coefficient;
      continue;
    }
    const key = monomialKey(term.atoms);
    const coefficient = (joined.get(key)?.coefficient ?? 0) + term.coefficient;
    joined.set(key, { coefficient, atoms: term.atoms });
  }
  const sorted = [...joined]
    .filter(([, term]) => term.coefficient !== 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (sorted.length === 0) return rest;
  let min = rest;
  let max = rest;
  let key = "";
  for (const [name, { coefficient, atoms }] of sorted) {
    let bounds: Interval = [coefficient, coefficient];
    for (const atom of atoms) bounds = corners(bounds, [atom.min, atom.max], (p, q) => p * q);
    min += bounds[0];
    max += bounds[1];
    const magnitude = Math.abs(coefficient);
    const text = magnitude === 1 ? name : `${magnitude}*${name}`;
    if (key === "") key = coefficient < 0 ? `-${text}` : text;
    else key += coefficient < 0 ? ` - ${text}` : ` + ${text}`;
  }
  if (rest !== 0) key += rest < 0 ? ` - ${-rest}` : ` + ${rest}`;
  return { key, terms: sorted.map(([, term]) => term), constant: rest, min, max };
}

/** a / b where b is a number or a single product that divides every term of a. */
function divideExactly(a: Dim, b: Dim): Dim | undefined {
  const divisor = withConstant(b);
  if (divisor.length !== 1) return sameDim(a, b) ? 1 : undefined;
  const by = divisor[0]!;
  const quotient: Term[] = [];
  for (const term of withConstant(a)) {
    if (term.coefficient % by.coefficient !== 0) return undefined;
    const atoms = [...term.atoms];
    for (const atom of by.atoms) {
      const index = atoms.findIndex((candidate) => candidate.key === atom.key);
      if (index < 0) return undefined;
      atoms.splice(index, 1);
    }
    quotient.push({ coefficient: term.coefficient / by.coefficient, atoms });
  }
  return make(quotient, 0);
}

function opaque(kind: OpaqueFunction, a: Dim, b: Dim): Dim {
  const [min, max] = boundsOf(kind, a, b);
  if (min === max) return min;
  const key = `${kind}(${dimKey(a)}, ${dimKey(b)})`;
  return make([{ coefficient: 1, atoms: [{ kind, key, a, b, min, max }] }], 0);
}

/** A smallest and a largest value, both included. */
type Interval = readonly [number, number];

/** Bounds of an operation on two intervals that is monotone in each operand, whichever way. */
function corners(a: Interval, b: Interval, apply: (x: number, y: number) => number): Interval {
  const values = [apply(a[0], b[0]), apply(a[0], b[1]), apply(a[1], b[0]), apply(a[1], b[1])];
  return [Math.min(...values), Math.max(...values)];
}

function boundsOf(kind: OpaqueFunction, a: Dim, b: Dim): Interval {
  const [lowest, highest] = [minOf(b), maxOf(b)];
  switch (kind) {
    case "max":
      return [Math.max(minOf(a), lowest), Math.max(maxOf(a), highest)];
    case "min":
      return [Math.min(minOf(a), lowest), Math.min(maxOf(a), highest)];
    case "mod":
      return [Math.min(0, lowest + 1), Math.max(0, highest - 1)];
    case "floordiv": {
      // Monotone on either side of zero; at zero the quotient is 0.
      const sides: Interval[] = [];
      if (highest > 0) sides.push([Math.max(1, lowest), highest]);
      if (lowest < 0) sides.push([lowest, Math.min(-1, highest)]);
      const divide = (x: number, y: number) => Math.floor(x / y) + 0;
      const bounds = sides.map((side) => corners([minOf(a), maxOf(a)], side, divide));
      if (lowest <= 0 && highest >= 0) bounds.push([0, 0]);
      return [Math.min(...bounds.map(([low]) => low)), Math.max(...bounds.map(([, high]) => high))];
    }
  }
}
