import { formatDiagnostic } from "../../errors.ts";
import { type CompileReport, explain } from "../../index.ts";
import { openInput } from "../../node/compile-file.ts";
import type { CommandCall } from "../cli.ts";
import { compilerOptions } from "../compiler-options.ts";
import { formatCounts, formatTable, metricRows } from "../format.ts";
import { exitCodes, type Io, printJson, printWarnings } from "../io.ts";

/** @returns the exit code: what is unsupported is printed as the result, and fails all the same */
export async function run(call: CommandCall<"explain">): Promise<number> {
  const { argument, options, io } = call;
  const input = await openInput(argument);
  const { report, errors } = await explain(input, await compilerOptions(call));
  if (options.json) {
    printJson(io, { ...report, ...(errors.length > 0 && { errors }) });
  } else {
    if (report !== undefined) printReport(io, report);
    for (const error of errors) io.err(`${formatDiagnostic(error)}\n`);
  }
  return errors.length > 0 ? exitCodes.failed : exitCodes.ok;
}

function printReport(io: Io, { ops, rules, metrics, partition, warnings }: CompileReport): void {
  const entries = Object.entries(rules).sort(([a], [b]) => (a < b ? -1 : 1));
  const fused = Object.fromEntries(
    entries.map(([name, { matched }]) => [name, matched]).filter(([, n]) => n !== 0),
  );
  io.out(`What fused: ${formatCounts(fused) || "nothing"}\n`);
  if (Object.keys(ops).length > 0) io.out(`What remains: ${formatCounts(ops)}\n`);
  const missed = entries.filter(([, { misses }]) => misses.length > 0);
  if (missed.length > 0) io.out("What nearly fused:\n");
  for (const [name, { misses }] of missed) {
    for (const [why, places] of grouped(misses)) {
      const more = places.length > 1 ? ` and ${places.length - 1} more` : "";
      io.out(`  ${name}: ${why}\n    at ${places[0] || "a node that the compiler made"}${more}\n`);
    }
  }
  const counted = metricRows(metrics);
  if (partition !== undefined) io.out(`What runs together: ${formatCounts(partition.groups)}\n`);
  if (counted.length > 0) io.out(`What passes counted:\n${formatTable(counted)}`);
  printWarnings(io, warnings);
}

/** One entry for each reason: in a model with many layers, each says the same. */
function grouped(
  misses: readonly { readonly why: string; readonly at: string }[],
): ReadonlyMap<string, string[]> {
  const byReason = new Map<string, string[]>();
  for (const { why, at } of misses) byReason.set(why, [...(byReason.get(why) ?? []), at]);
  return byReason;
}
