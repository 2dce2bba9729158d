import type { Lowering } from "../backends/webgpu/lowering/group.ts";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../errors.ts";
import type { Importer } from "../frontend/onnx/importer.ts";
import type { Graph } from "../ir/graph.ts";
import { coreOps, type OpRegistry } from "../ir/ops/index.ts";
import type { Options } from "../options.ts";
import { type Pass, type Phase, phases as phaseNames } from "../passes/pass.ts";
import { pipeline } from "../passes/pipeline.ts";
import { type Rule, rewritePass } from "../passes/rule.ts";
import type { PassPlace, Plugin } from "../plugin.ts";
import { type Contribution, setUp } from "./plugin-setup.ts";

/** The compiler with its plugins applied: what one compilation works with. */
export interface Extensions {
  readonly ops: OpRegistry;
  readonly importers: ReadonlyMap<string, Importer>;
  readonly phases: readonly PhasePasses[];
  readonly lowerings: readonly Lowering[];
  phaseReached(phase: Phase, graph: Graph): Promise<void>;
}

interface PhasePasses {
  readonly phase: Phase;
  readonly passes: readonly Pass[];
}

/**
 * Runs the plugins' setups and puts together what they add.
 * @throws BitnetcError listing every name that is taken or not known and everything that is not valid
 */
export async function applyPlugins(plugins: readonly Plugin[], options: Options): Promise<Extensions> {
  const faults: Diagnostic[] = [];
  const contributions: Contribution[] = [];
  const names = new Set<string>();
  for (const plugin of plugins) {
    // Set up twice, every one of its names would clash.
    if (names.has(plugin.name)) faults.push(diagnostics.pluginClash(plugin.name, "plugin", plugin.name));
    else contributions.push(await setUp(plugin, options, faults));
    names.add(plugin.name);
  }
  const claim = (taken: boolean, plugin: string, kind: string, name: string): boolean => {
    if (taken) faults.push(diagnostics.pluginClash(plugin, kind, name));
    return !taken;
  };
  const ops = new Map(coreOps);
  const importers = new Map<string, Importer>();
  for (const made of contributions) {
    for (const [name, definition] of made.ops)
      if (claim(ops.has(name), made.plugin, "op", name)) ops.set(name, definition);
    for (const [type, importer] of made.importers)
      if (claim(importers.has(type), made.plugin, "ONNX op", type)) importers.set(type, importer);
  }
  const phases = addRules(addPasses(pipeline, contributions, claim, faults), contributions, claim, faults);
  if (faults.length > 0) throw new BitnetcError(faults);
  const listeners = contributions.flatMap((made) => made.listeners);
  return {
    ops,
    importers,
    phases,
    lowerings: contributions.flatMap((made) => made.lowerings),
    async phaseReached(phase, graph) {
      // `search` starts afresh, where `test` of a global expression goes on from its last match.
      for (const [filter, callback] of listeners)
        if (phase.search(filter) >= 0) await callback({ phase, graph });
    },
  };
}

type Claim = (taken: boolean, plugin: string, kind: string, name: string) => boolean;

const passNames = (phases: readonly PhasePasses[]): Set<string> =>
  new Set(phases.flatMap(({ passes }) => passes.map(({ name }) => name)));

/** Places the plugins' passes in their order, except that a pass waits for the one it is placed beside. */
function addPasses(
  core: readonly PhasePasses[],
  contributions: readonly Contribution[],
  claim: Claim,
  faults: Diagnostic[],
): readonly PhasePasses[] {
  const phases = core.map(({ phase, passes }) => ({ phase, passes: [...passes] }));
  const names = passNames(phases);
  let waiting: { readonly plugin: string; readonly pass: Pass; readonly place: PassPlace }[] = [];
  for (const { plugin, passes } of contributions)
    for (const [pass, place] of passes) {
      if (claim(names.has(pass.name), plugin, "pass", pass.name)) waiting.push({ plugin, pass, place });
      names.add(pass.name);
    }
  const queues = new Map<Pass, string>();
  for (let before = Infinity; waiting.length < before; ) {
    before = waiting.length;
    waiting = waiting.filter(({ pass, place }) => !insertPass(phases, pass, place, queues));
  }
  for (const { plugin, place } of waiting)
    faults.push(
      "phase" in place
        ? diagnostics.pluginTarget(plugin, "phase", place.phase, phaseNames.slice(1))
        : diagnostics.pluginTarget(plugin, "pass", besideOf(place), [...passNames(phases)]),
    );
  return phases;
}

const besideOf = (place: Exclude<PassPlace, { phase: unknown }>): string =>
  "before" in place ? place.before : place.after;

/** @param queues where each added pass went, so that the next one for the same place goes behind it */
function insertPass(
  phases: readonly { readonly phase: Phase; readonly passes: Pass[] }[],
  pass: Pass,
  place: PassPlace,
  queues: Map<Pass, string>,
): boolean {
  const queue = JSON.stringify(place);
  const insert = (passes: Pass[], from: number): true => {
    let at = from;
    while (queues.get(passes[at]!) === queue) at++;
    passes.splice(at, 0, pass);
    queues.set(pass, queue);
    return true;
  };
  if ("phase" in place) {
    const passes = phases.find(({ phase }) => phase === place.phase)?.passes;
    return passes !== undefined && insert(passes, place.order === "first" ? 0 : passes.length);
  }
  for (const { passes } of [...phases].reverse()) {
    const at = passes.findLastIndex(({ name }) => name === besideOf(place));
    if (at >= 0) return insert(passes, "before" in place ? at : at + 1);
  }
  return false;
}

/** Puts the plugins' rules behind those that a pass has, wherever the pass runs. */
function addRules(
  phases: readonly PhasePasses[],
  contributions: readonly Contribution[],
  claim: Claim,
  faults: Diagnostic[],
): readonly PhasePasses[] {
  const all = phases.flatMap(({ passes }) => passes);
  const ruleNames = new Set(all.flatMap(({ rules = [] }) => rules.map(({ name }) => name)));
  const added = new Map<string, Rule[]>();
  for (const { plugin, rules } of contributions)
    for (const [rule, into] of rules) {
      const target = all.find(({ name }) => name === into);
      if (target === undefined)
        faults.push(diagnostics.pluginTarget(plugin, "pass", into, rulePassNames(all)));
      else if (target.rules === undefined)
        faults.push(diagnostics.pluginNotRules(plugin, rule.name, into, rulePassNames(all)));
      else if (claim(ruleNames.has(rule.name), plugin, "rule", rule.name))
        added.set(into, [...(added.get(into) ?? []), rule]);
      ruleNames.add(rule.name);
    }
  const extended = ({ name, doc, rules }: Pass, more: readonly Rule[]) =>
    rewritePass(name, doc, [...(rules ?? []), ...more]);
  return phases.map(({ phase, passes }) => ({
    phase,
    passes: passes.map((pass) => (added.has(pass.name) ? extended(pass, added.get(pass.name)!) : pass)),
  }));
}

const rulePassNames = (passes: readonly Pass[]): string[] => [
  ...new Set(passes.filter(({ rules }) => rules !== undefined).map(({ name }) => name)),
];
