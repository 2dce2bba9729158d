import type { CompileReport } from "bitnetc";
import { element, facts } from "../shared/element.ts";
import { formatBytes, formatCount, formatDuration, plural } from "../shared/format.ts";
import { problemView } from "../shared/problem.ts";
import type { Compiled } from "./compiler-messages.ts";

/** What a compilation did: how large the parts are, what fused and what nearly did. */
export function reportView({ program, report, milliseconds }: Compiled): HTMLElement {
  const { warnings, phases, ops } = report;
  const nodes = Object.values(ops).reduce((sum, count) => sum + count, 0);
  const imported = phases[0]?.nodes ?? nodes;
  return element(
    "div",
    { class: "report" },
    element(
      "p",
      { class: "headline" },
      element("strong", {}, formatBytes(program.size)),
      ` in ${formatDuration(milliseconds)}, ${imported === nodes ? "" : `${formatCount(imported)} → `}${plural(nodes, "node")}`,
    ),
    ...(warnings.length > 0 ? [problemView(warnings)] : []),
    sizes(report),
    section("Fused", rules(report)),
    section("Ops of the graph", counts(ops)),
    section(
      "Phases",
      counts(
        Object.fromEntries(phases.map(({ phase, milliseconds }) => [phase, formatDuration(milliseconds)])),
      ),
    ),
  );
}

function sizes({ sizes }: CompileReport): HTMLElement {
  if (sizes === undefined) return element("div");
  const { ternary, embedding, norm, other, total, bitsPerTernaryWeight } = sizes;
  const parts = [
    ["ternary", "Ternary weights", ternary],
    ["embedding", "Embedding and head", embedding],
    ["norm", "Norms", norm],
    ["other", "Other", other],
  ] as const;
  const bar = element("div", { class: "shares", "aria-hidden": "true" });
  for (const [kind, , bytes] of parts) {
    const share = element("span", { class: kind });
    share.style.flexGrow = String(bytes / Math.max(1, total));
    if (bytes > 0) bar.append(share);
  }
  return element(
    "div",
    { class: "sizes" },
    bar,
    facts([
      ...parts
        .filter(([, , bytes]) => bytes > 0)
        .map(([, name, bytes]) => [name, formatBytes(bytes)] as const),
      ...(ternary > 0 ? [["Bits per ternary weight", bitsPerTernaryWeight.toFixed(3)] as const] : []),
    ]),
  );
}

const section = (title: string, content: HTMLElement): HTMLElement =>
  element("details", {}, element("summary", {}, title), content);

function rules({ rules }: CompileReport): HTMLElement {
  const seen = Object.entries(rules).filter(([, { matched, misses }]) => matched > 0 || misses.length > 0);
  if (seen.length === 0) return element("p", { class: "help" }, "Nothing was there to fuse.");
  return element(
    "ul",
    { class: "rules" },
    ...seen.map(([name, { matched, misses }]) =>
      element(
        "li",
        {},
        element("code", {}, name),
        ` ${plural(matched, "time")}`,
        ...misses.map(({ why, at }) => element("p", { class: "help" }, `not at ${at}: ${why}`)),
      ),
    ),
  );
}

const counts = (named: Readonly<Record<string, number | string>>): HTMLElement =>
  element(
    "dl",
    { class: "counts" },
    ...Object.entries(named).map(([name, count]) =>
      element("div", {}, element("dt", {}, element("code", {}, name)), element("dd", {}, String(count))),
    ),
  );
