import { BitnetcError, diagnostics } from "../errors.ts";
import type { Importer } from "../frontend/onnx/importer.ts";
import type { Graph } from "../ir/graph.ts";
import { coreOps, type OpRegistry } from "../ir/ops/index.ts";
import type { OpDef } from "../ir/ops/op.ts";
import type { Options } from "../options.ts";
import type { Pass, Phase } from "../passes/pass.ts";
import { pipeline } from "../passes/pipeline.ts";
import type { Rule } from "../passes/rule.ts";
import type { PassPlace, Plugin } from "../plugin.ts";

/** The compiler with its plugins applied: what one compilation works with. */
export interface Extensions {
  readonly ops: OpRegistry;
  readonly importers: ReadonlyMap<string, Importer>;
  readonly phases: readonly { readonly phase: Phase; readonly passes: readonly Pass[] }[];
  rulesFor(pass: string): readonly Rule[];
  phaseReached(phase: Phase, graph: Graph): Promise<void>;
}

/** Runs the plugins' setups. @throws BitnetcError listing every name that is taken or not known */
export async function applyPlugins(plugins: readonly Plugin[], options: Options): Promise<Extensions> {
  const ops = new Map(coreOps);
  const importers = new Map<string, Importer>();
  const rules = new Map<string, Rule[]>();
  const phases = pipeline.map(({ phase, passes }) => ({ phase, passes: [...passes] }));
  const listeners: {
    filter: RegExp;
    callback: (event: { phase: Phase; graph: Graph }) => void | Promise<void>;
  }[] = [];
  const known = new Set(phases.flatMap(({ passes }) => passes.map(({ name }) => name)));
  const faults: ReturnType<typeof diagnostics.pluginClash>[] = [];

  const names = new Set<string>();
  for (const plugin of plugins) {
    if (names.has(plugin.name)) faults.push(diagnostics.pluginClash(plugin.name, "plugin", plugin.name));
    names.add(plugin.name);
    const claim = (taken: boolean, kind: string, name: string): boolean => {
      if (taken) faults.push(diagnostics.pluginClash(plugin.name, kind, name));
      return !taken;
    };
    const lacks = (kind: string, name: string) =>
      faults.push(diagnostics.pluginTarget(plugin.name, kind, name, [...known]));
    await plugin.setup({
      options,
      op(name, definition) {
        if (claim(ops.has(name), "op", name)) ops.set(name, definition as unknown as OpDef);
      },
      onnxOp(type, importer) {
        if (claim(importers.has(type), "ONNX op", type)) importers.set(type, importer);
      },
      rule(rule, { into }) {
        if (!known.has(into)) lacks("pass", into);
        else rules.set(into, [...(rules.get(into) ?? []), rule]);
      },
      pass(pass, place) {
        if (!claim(known.has(pass.name), "pass", pass.name)) return;
        if (insertPass(phases, pass, place)) known.add(pass.name);
        else
          lacks(
            "phase" in place ? "phase" : "pass",
            "phase" in place ? place.phase : "before" in place ? place.before : place.after,
          );
      },
      onPhase(filter, callback) {
        listeners.push({ filter, callback });
      },
    });
  }
  if (faults.length > 0) throw new BitnetcError(faults);
  return {
    ops,
    importers,
    phases,
    rulesFor: (pass) => rules.get(pass) ?? [],
    async phaseReached(phase, graph) {
      for (const { filter, callback } of listeners) if (filter.test(phase)) await callback({ phase, graph });
    },
  };
}

/** Clean-up passes run several times: a place beside one of them is a place beside the last time. */
function insertPass(
  phases: readonly { readonly phase: Phase; readonly passes: Pass[] }[],
  pass: Pass,
  place: PassPlace,
): boolean {
  if ("phase" in place) {
    const target = phases.find(({ phase }) => phase === place.phase);
    if (target === undefined) return false;
    if (place.order === "first") target.passes.unshift(pass);
    else target.passes.push(pass);
    return true;
  }
  const beside = "before" in place ? place.before : place.after;
  for (const { passes } of [...phases].reverse()) {
    const at = passes.findLastIndex(({ name }) => name === beside);
    if (at < 0) continue;
    passes.splice("before" in place ? at : at + 1, 0, pass);
    return true;
  }
  return false;
}
