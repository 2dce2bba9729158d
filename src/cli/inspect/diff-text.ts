import type { Difference } from "./diff.ts";
import { cutLines, printable } from "./listing.ts";

interface NamedFile {
  readonly name: string;
  readonly size: number;
}

/** Differences for people, part by part: `-` is the first program, `+` the second. */
export function diffText(
  [before, after]: readonly [NamedFile, NamedFile],
  differences: readonly Difference[],
  showsAll: boolean,
): string {
  const names = `- ${before.name}\n+ ${after.name}\n`;
  if (differences.length === 0) return `${names}The programs are equal.\n`;
  const parts = new Map<string, Difference[]>();
  for (const entry of differences) {
    const known = parts.get(entry.part);
    if (known === undefined) parts.set(entry.part, [entry]);
    else known.push(entry);
  }
  return [...parts].reduce(
    (text, [part, entries]) =>
      `${text}${printable(part)}: ${entries.length} ${entries.length === 1 ? "difference" : "differences"}\n${cutLines(entries.flatMap(lines), showsAll)}`,
    names,
  );
}

const lines = ({ what, before, after }: Difference): readonly string[] => [
  ...(before === undefined ? [] : [`- ${what}: ${before}`]),
  ...(after === undefined ? [] : [`+ ${what}: ${after}`]),
];
