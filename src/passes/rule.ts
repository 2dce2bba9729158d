import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { type Builder, type Graph, isList, type Node, type Value } from "../ir/graph.ts";
import { InferenceError } from "../ir/ops/op.ts";
import { definePass, type Pass, type PassContext } from "./pass.ts";
import {
  type Attempt,
  type Bindings,
  boundHoles,
  type Hole,
  matchPattern,
  type OptionalHole,
  type PatternBuilder,
  patternBuilder,
  patternSize,
  scalarOf,
} from "./pattern.ts";

/** Why a rule that found its pattern did not apply. */
export interface Miss {
  readonly miss: string;
  readonly at?: Value | undefined;
}

/** What a pattern names: the root, which is replaced, and the holes that `check` and `rewrite` look at. */
export type NamedHoles = Readonly<Record<string, Hole>> & { readonly root: Hole };

/** The values that a pattern's holes stand for, by name; those of optional ones may be missing. */
export type Match<Name extends string, Optional extends string = never> = Readonly<
  Record<Name | "root", Value> & Record<Optional, Value | undefined>
> & {
  /** The element of a one-element constant. */
  scalar(value: Value): number | undefined;
  /** Whether several nodes take the value, or the graph returns it: then it stays, whatever takes the root's place. */
  isShared(value: Value): boolean;
  /** Declines, with a sentence that `explain` shows. */
  no(why: string, at?: Value): Miss;
};

type OptionalNames<H> = { [K in keyof H]: H[K] extends OptionalHole ? K : never }[keyof H] & string;
type MatchOf<H> = Match<Exclude<keyof H & string, OptionalNames<H>>, OptionalNames<H>>;

/** A rewrite: where `pattern` is found and `check` agrees, the root is replaced by what `rewrite` builds. */
export interface Rule {
  readonly name: string;
  readonly doc: string;
  readonly root: Hole;
  readonly holes: Readonly<Record<string, Hole>>;
  readonly size: number;
  /** Near misses are shown by `explain`; clean-up rules keep quiet. */
  readonly isFusion: boolean;
  apply(
    match: Bindings,
    graph: Graph,
    context: PassContext,
  ): Promise<Value | Miss | undefined> | Value | Miss | undefined;
}

/**
 * Makes a rule. The names of `pattern`'s holes are those of the match in `check` and `rewrite`.
 * @throws Error when the root is no op, or a hole may stand for nothing and is not said to be optional
 */
export function rule<H extends NamedHoles>(definition: {
  readonly name: string;
  readonly doc: string;
  readonly quiet?: boolean;
  pattern(p: PatternBuilder): H;
  check?(match: MatchOf<H>, context: PassContext): Miss | undefined | Promise<Miss | undefined>;
  /** May decline too, where building is the only way to know. */
  rewrite(b: Builder, match: MatchOf<H>, context: PassContext): Value | Miss | undefined;
}): Rule {
  const { name, doc } = definition;
  const holes = definition.pattern(patternBuilder);
  if (rootOps(holes.root).length === 0) throw new Error(`the root of the rule ${name} is no op`);
  const bound = boundHoles(holes.root);
  for (const [label, hole] of Object.entries<Hole>(holes))
    if (!bound.has(hole) && !("isOptional" in hole))
      throw new Error(`the hole ${label} of the rule ${name} can stand for nothing: it is optional`);
  return {
    name,
    doc,
    root: holes.root,
    holes,
    size: patternSize(holes.root),
    isFusion: definition.quiet !== true,
    async apply(bindings, graph, context) {
      const values = Object.entries<Hole>(holes).map(([label, hole]) => [label, bindings.get(hole)] as const);
      const match = {
        ...Object.fromEntries(values),
        scalar: scalarOf,
        isShared: (value: Value) =>
          value.users.size > 1 || graph.outputs.some((output) => output.value === value),
        no: (miss: string, at?: Value): Miss => ({ miss, at }),
      } as MatchOf<H>;
      const refusal = await definition.check?.(match, context);
      if (refusal) return refusal;
      return definition.rewrite(graph.edit(name), match, context);
    },
  };
}

/** What a rule did in one compilation. */
export interface RuleReport {
  matched: number;
  readonly misses: { readonly why: string; readonly at: string }[];
}

/** A pass that applies rules until none applies any more. */
export function rewritePass(name: string, doc: string, rules: readonly Rule[]): Pass {
  return definePass({
    name,
    doc,
    rules,
    run: (graph, context) => applyRules(graph, rules, context),
  });
}

/** Near misses kept for one rule; a model with more of them has one cause. */
const missLimit = 64;

/** Far more than any graph needs for its rules to come to rest. */
const roundLimit = 1000;

/**
 * Applies rules to every node, again and again until none applies.
 * @throws BitnetcError `rules-endless` when the rules do not come to rest
 */
export async function applyRules(graph: Graph, rules: readonly Rule[], context: PassContext): Promise<void> {
  const byOp = new Map<string, Rule[]>();
  for (const candidate of rules)
    for (const op of rootOps(candidate.root)) byOp.set(op, [...(byOp.get(op) ?? []), candidate]);
  const misses = new Map<Value, Map<Rule, { why: string; at: string }>>();

  let applied = new Set<string>();
  for (let round = 0; round === 0 || applied.size > 0; round++) {
    if (round > roundLimit) throw new BitnetcError(diagnostics.rulesEndless([...applied], roundLimit));
    applied = new Set();
    graph.edit("sweep").sweep();
    misses.clear();
    for (const node of graph.nodes) {
      const root = node.results[0]!;
      for (const candidate of byOp.get(node.op) ?? []) {
        const isLive =
          node.results.some((r) => r.users.size > 0) ||
          graph.outputs.some((o) => node.results.includes(o.value)) ||
          node.def.mutates !== undefined;
        if (!isLive) break;
        const attempt: Attempt = { matched: 0, reason: "", at: undefined };
        const before = graph.valueCount;
        const found = matchPattern(candidate.root, root, attempt);
        const outcome = found
          ? await applyOne(candidate, found, graph, context)
          : nearMiss(candidate, attempt);
        if (outcome !== undefined && !("miss" in outcome) && !isRepetition(root, outcome)) {
          graph.edit(candidate.name).replace(root, outcome);
          reportOf(context, candidate.name).matched++;
          applied.add(candidate.name);
          break;
        }
        // What was built in vain must not count as a user of what it takes.
        if (graph.valueCount > before) graph.edit("sweep").sweep();
        if (outcome !== undefined && "miss" in outcome && candidate.isFusion)
          remember(misses, root, candidate, outcome);
      }
    }
  }
  graph.edit("sweep").sweep();
  for (const byRule of misses.values())
    for (const [{ name }, miss] of byRule) {
      const report = reportOf(context, name);
      if (report.misses.length < missLimit) report.misses.push(miss);
    }
}

async function applyOne(candidate: Rule, found: Bindings, graph: Graph, context: PassContext) {
  try {
    return await candidate.apply(found, graph, context);
  } catch (error) {
    if (error instanceof InferenceError) return { miss: error.message };
    throw error;
  }
}

/** Whether a rewrite built what was there already. */
const isRepetition = (root: Value, outcome: Value): boolean =>
  root === outcome ||
  (root.node !== undefined && outcome.node !== undefined && formula(root.node) === formula(outcome.node));

function formula({ op, args, attrs }: Node): string {
  const names = Object.entries(args).map(
    ([name, arg = []]) => `${name}: ${(isList(arg) ? arg : [arg]).map(({ id }) => id)}`,
  );
  return `${op}(${names.join("; ")}) ${Object.entries(attrs).join("; ")}`;
}

/** A pattern that matched for the most part and then did not is worth a sentence. */
function nearMiss(candidate: Rule, attempt: Attempt): Miss | undefined {
  if (!candidate.isFusion || attempt.matched < 3 || attempt.matched * 2 < candidate.size) return undefined;
  return { miss: attempt.reason, at: attempt.at };
}

function remember(
  misses: Map<Value, Map<Rule, { why: string; at: string }>>,
  root: Value,
  by: Rule,
  miss: Miss,
): void {
  const place = miss.at?.node?.loc.source || root.node?.loc.source || "";
  const ofRoot = misses.get(root) ?? new Map();
  ofRoot.set(by, { why: miss.miss, at: place });
  misses.set(root, ofRoot);
}

/** The ops that a pattern's root can be, each once. */
const rootOps = (hole: Hole): readonly string[] =>
  hole.kind === "op" ? [hole.op] : hole.kind === "either" ? [...new Set(hole.of.flatMap(rootOps))] : [];

export function reportOf(context: PassContext, name: string): RuleReport {
  const found = context.rules.get(name) ?? { matched: 0, misses: [] };
  context.rules.set(name, found);
  return found;
}
