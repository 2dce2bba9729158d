import type { Pass, Phase } from "../../src/passes/pass.ts";
import { pipeline } from "../../src/passes/pipeline.ts";
import type { Rule } from "../../src/passes/rule.ts";
import { table } from "./table.ts";

/** The passes of each phase in the order in which they run, and the rules that `bitnetc explain` tells of. */
export function passReference(): string {
  const seen = new Set<string>();
  const sections = pipeline.map(({ phase, passes }) => passTable(phase, passes, seen));
  const all = pipeline.flatMap(({ passes }) => passes.map((pass) => [pass.name, pass.rules ?? []] as const));
  return `${sections.join("\n\n")}\n\n${ruleTable(new Map(all))}\n`;
}

/** @param seen names of the passes that were there before; these are the ones that tidy up */
function passTable(phase: Phase, passes: readonly Pass[], seen: Set<string>): string {
  const rows = passes.map(({ name, doc, rules }) => {
    const text = seen.has(name) ? "again" : doc;
    seen.add(name);
    return [`\`${name}\``, rules === undefined ? "" : "yes", text];
  });
  return `### ${phase}\n\n${table(["pass", "of rules", "what it does"], rows)}`;
}

function ruleTable(byPass: ReadonlyMap<string, readonly Rule[]>): string {
  const rows = [...byPass].flatMap(([pass, rules]) =>
    rules.filter(({ isFusion }) => isFusion).map(({ name, doc }) => [`\`${name}\``, `\`${pass}\``, doc]),
  );
  return `### Rules whose near misses are told\n\n${table(["rule", "in", "what it does"], rows)}`;
}
