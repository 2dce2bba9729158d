import type { Node, Value } from "../ir/graph.ts";
import type { ArgsOf, AttrsOf, OpName } from "../ir/ops/index.ts";
import type { Args } from "../ir/ops/op.ts";

/** A place in a pattern. Using one hole twice means the same value in both places. */
export type Hole =
  | { readonly kind: "any" }
  | { readonly kind: "constant" }
  | { readonly kind: "scalar"; readonly value: number | undefined }
  | { readonly kind: "either"; readonly of: readonly Hole[] }
  | {
      readonly kind: "op";
      readonly op: OpName;
      readonly args: Readonly<Record<string, Hole | readonly Hole[] | undefined>>;
      readonly attrs: Readonly<Record<string, unknown>>;
    };

/** A hole of some alternatives of a pattern only: it stands for nothing where another one matched. */
export type OptionalHole = Hole & { readonly isOptional: true };

type AttrPattern<T> = { readonly [K in keyof T]?: T[K] | ((value: T[K], node: Node) => boolean) };
/** Arguments that a pattern does not mention may be anything, or missing. */
type ArgPattern<N extends OpName> = Partial<Args<ArgsOf<N>, Hole>>;

/** Writes patterns the way a `Builder` writes graphs. */
export interface PatternBuilder {
  <N extends OpName>(op: N, args: ArgPattern<N>, attrs?: AttrPattern<AttrsOf<N>>): Hole;
  any(): Hole;
  /** A constant of any size. */
  constant(): Hole;
  /** A constant with one element; with a value, that one as any float type rounds it. */
  scalar(value?: number): Hole;
  /** The first of these that matches. */
  either(...of: readonly Hole[]): Hole;
  /** The hole, where it is part of some alternatives of an `either` only. */
  optional(hole: Hole): OptionalHole;
}

export const patternBuilder: PatternBuilder = Object.assign(
  (op: OpName, args: object, attrs: object = {}): Hole => ({
    kind: "op",
    op,
    args: args as Record<string, Hole>,
    attrs: attrs as Record<string, unknown>,
  }),
  {
    any: (): Hole => ({ kind: "any" }),
    constant: (): Hole => ({ kind: "constant" }),
    scalar: (value?: number): Hole => ({ kind: "scalar", value }),
    either: (...of: readonly Hole[]): Hole => ({ kind: "either", of }),
    optional: (hole: Hole): OptionalHole => ({ ...hole, isOptional: true }),
  },
);

/** Half the distance between two bf16 numbers, relative: exports in 16 bits round their constants. */
const scalarTolerance = 2 ** -9;

const isRounded = (scalar: number, value: number): boolean =>
  Number.isFinite(value) ? Math.abs(scalar - value) <= Math.abs(value) * scalarTolerance : scalar === value;

const sameAttr = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b)
    ? a.length === b.length && a.every((item, i) => Object.is(item, b[i]))
    : Object.is(a, b);

/** The element of a one-element constant. */
export function scalarOf(value: Value | undefined): number | undefined {
  if (value?.def.kind === "const" && value.def.data.inline?.data.length === 1)
    return value.def.data.inline.data[0];
  const contents = value?.contents;
  return contents?.length === 1 && typeof contents[0] === "number" ? contents[0] : undefined;
}

/** How far a match got before it failed: the deepest attempt is the near miss worth showing. */
export interface Attempt {
  matched: number;
  reason: string;
  at: Value | undefined;
}

export type Bindings = ReadonlyMap<Hole, Value>;

/**
 * Matches a pattern at a value, trying both orders of commutative ops and every alternative of `either`.
 * @returns what each hole stands for, or undefined; then `attempt` tells how far it got
 */
export function matchPattern(root: Hole, value: Value, attempt: Attempt): Bindings | undefined {
  const bindings = new Map<Hole, Value>();
  let matched = 0;

  const fail = (reason: () => string, at: Value): false => {
    if (matched > attempt.matched) Object.assign(attempt, { matched, reason: reason(), at });
    return false;
  };

  function match(hole: Hole, candidate: Value, then: () => boolean): boolean {
    const bound = bindings.get(hole);
    if (bound !== undefined)
      return bound === candidate ? then() : fail(() => "two places hold different values", candidate);
    bindings.set(hole, candidate);
    if (matchUnbound(hole, candidate, then)) return true;
    bindings.delete(hole);
    return false;
  }

  function matchUnbound(hole: Hole, candidate: Value, then: () => boolean): boolean {
    switch (hole.kind) {
      case "any":
        return then();
      case "constant":
        return candidate.def.kind === "const" ? then() : fail(() => "a constant was expected", candidate);
      case "scalar": {
        const scalar = scalarOf(candidate);
        if (scalar === undefined) return fail(() => "a constant number was expected", candidate);
        const isEqual = hole.value === undefined || isRounded(scalar, hole.value);
        return isEqual ? then() : fail(() => `${hole.value} was expected, it is ${scalar}`, candidate);
      }
      case "either":
        return hole.of.some((option) => match(option, candidate, then));
      case "op": {
        const { node } = candidate;
        if (node?.op !== hole.op || candidate.def.kind !== "node" || candidate.def.index !== 0)
          return fail(() => `${hole.op} was expected, it is ${describe(candidate)}`, candidate);
        for (const [name, wanted] of Object.entries(hole.attrs)) {
          const actual = node.attrs[name];
          const fits = typeof wanted === "function" ? wanted(actual, node) : sameAttr(wanted, actual);
          if (!fits) return fail(() => `${name} of ${hole.op} is ${JSON.stringify(actual)}`, candidate);
        }
        matched++;
        const isMatch = matchArgs(hole, node, then);
        matched--;
        return isMatch;
      }
    }
  }

  function matchArgs(hole: Hole & { kind: "op" }, node: Node, then: () => boolean): boolean {
    const names = Object.keys(hole.args).filter((name) => hole.args[name] !== undefined);
    const actual: Readonly<Record<string, Value | readonly Value[] | undefined>> = node.args;
    const inOrder = (order: readonly string[]): boolean => {
      const pairs: [Hole, Value][] = [];
      for (const [i, name] of names.entries()) {
        const wanted = hole.args[name]!;
        const given = actual[order[i]!];
        if (Array.isArray(wanted)) {
          const list = given as readonly Value[];
          if (list.length !== wanted.length)
            return fail(() => `${node.op} has ${list.length} ${name}`, node.results[0]!);
          wanted.forEach((item: Hole, k) => {
            pairs.push([item, list[k]!]);
          });
        } else if (given === undefined) return fail(() => `${node.op} has no ${name}`, node.results[0]!);
        else pairs.push([wanted as Hole, given as Value]);
      }
      const step = (at: number): boolean =>
        at === pairs.length ? then() : match(pairs[at]![0], pairs[at]![1], () => step(at + 1));
      return step(0);
    };
    if (inOrder(names)) return true;
    const [first, second] = node.def.args;
    return node.def.commutative === true && inOrder(names.map((name) => (name === first ? second! : first!)));
  }

  return match(root, value, () => true) ? new Map(bindings) : undefined;
}

/** What a value is, for a sentence. */
export function describe(value: Value): string {
  if (value.node) return value.node.op;
  return value.def.kind === "input" || value.def.kind === "state"
    ? `the ${value.def.kind} ${value.def.name}`
    : `a ${value.def.kind}`;
}

/** The holes that stand for something whenever a pattern matches, whichever of its alternatives did. */
export function boundHoles(hole: Hole, known = new Map<Hole, ReadonlySet<Hole>>()): ReadonlySet<Hole> {
  const before = known.get(hole);
  if (before !== undefined) return before;
  const bound = new Set([hole]);
  const inside = (holes: readonly Hole[]) => holes.map((each) => boundHoles(each, known));
  if (hole.kind === "either") {
    const [first, ...others] = inside(hole.of);
    for (const each of first ?? []) if (others.every((other) => other.has(each))) bound.add(each);
  }
  if (hole.kind === "op")
    for (const part of inside(Object.values(hole.args).flatMap((arg) => arg ?? [])))
      for (const each of part) bound.add(each);
  known.set(hole, bound);
  return bound;
}

/** Ops of a pattern, each hole once, counted along its longest alternative. */
export function patternSize(hole: Hole, seen = new Set<Hole>()): number {
  if (seen.has(hole)) return 0;
  seen.add(hole);
  if (hole.kind === "either") return Math.max(...hole.of.map((option) => patternSize(option, new Set(seen))));
  if (hole.kind !== "op") return 0;
  return Object.values(hole.args)
    .flat()
    .reduce((n, arg) => n + (arg ? patternSize(arg as Hole, seen) : 0), 1);
}
