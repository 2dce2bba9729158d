import type { Sizes } from "../index.ts";

/** Bytes as a person reads them; units of 1024. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[power]}`;
}

/** `28 bitnet.linear, 17 nn.rms_norm`, the most frequent first. */
export const formatCounts = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

/** How often each name occurs. */
export function countNames(names: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Lines of two columns. */
export function formatTable(rows: readonly (readonly [string, string])[], indent = "  "): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${indent}${name.padEnd(width)}  ${value}\n`).join("");
}

/** Bytes by kind of weight, as rows of a table. */
export function sizeRows({
  ternary,
  embedding,
  norm,
  other,
  bitsPerTernaryWeight,
}: Sizes): (readonly [string, string])[] {
  const packed = `${formatBytes(ternary)}, ${bitsPerTernaryWeight.toFixed(3)} bits per weight`;
  return [
    ...(ternary > 0 ? [["ternary", packed] as const] : []),
    ["embedding", formatBytes(embedding)],
    ["norm", formatBytes(norm)],
    ["other", formatBytes(other)],
  ];
}

/** What passes counted, as rows of a table. */
export const metricRows = (metrics: Readonly<Record<string, number>>): (readonly [string, string])[] =>
  Object.entries(metrics).map(([name, value]) => [name, String(value)]);
