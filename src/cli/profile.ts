import type { ProfileEntry } from "../runtime/index.ts";
import { formatBytes } from "./format.ts";

/** What some dispatches cost together. */
interface Cost {
  readonly dispatches: number;
  readonly gpu_ms: number;
  readonly us_per_dispatch: number;
  /** Of all time, from 0 to 1. */
  readonly share: number;
  readonly bytes: number;
  readonly gb_per_second: number;
}

export interface ProfileSummary extends Omit<Cost, "share" | "us_per_dispatch"> {
  /** The prompt's, or the new ones of decode. */
  readonly tokens: number;
  readonly classes: readonly (Cost & { readonly name: string })[];
  readonly kernels: readonly KernelCost[];
}

interface KernelCost extends Cost {
  readonly name: string;
  readonly class: string;
  /** By where in the model they are, whatever the layer. */
  readonly places: readonly (Cost & { readonly name: string })[];
}

/** A profile as an object for JSON, by classes and kernels, what takes longest first. */
export function summarise(entries: readonly ProfileEntry[], tokens: number): ProfileSummary {
  const whole = costOf(entries, 0);
  const all = whole.gpu_ms;
  const kernels = grouped(entries, ({ kernel }) => kernel, all).map(({ entries, ...cost }) => ({
    ...cost,
    class: entries[0]!.class,
    places: grouped(entries, ({ source }) => source.replace(/\d+/g, "N"), all).map(withoutEntries),
  }));
  const { dispatches, gpu_ms, bytes, gb_per_second } = whole;
  const classes = grouped(entries, (entry) => entry.class, all).map(withoutEntries);
  return { tokens, dispatches, gpu_ms, bytes, gb_per_second, classes, kernels };
}

const withoutEntries = <T extends { readonly entries: unknown }>({ entries, ...rest }: T) => rest;

function grouped(entries: readonly ProfileEntry[], nameOf: (entry: ProfileEntry) => string, all: number) {
  const groups = new Map<string, ProfileEntry[]>();
  for (const entry of entries) groups.set(nameOf(entry), [...(groups.get(nameOf(entry)) ?? []), entry]);
  return [...groups]
    .map(([name, entries]) => ({ name, ...costOf(entries, all), entries }))
    .sort((a, b) => b.gpu_ms - a.gpu_ms);
}

function costOf(entries: readonly ProfileEntry[], all: number): Cost {
  const sum = (of: (entry: ProfileEntry) => number) => entries.reduce((total, entry) => total + of(entry), 0);
  const [nanoseconds, dispatches, bytes] = [
    sum((e) => e.nanoseconds),
    sum((e) => e.count),
    sum((e) => e.bytes),
  ];
  return {
    dispatches,
    gpu_ms: nanoseconds / 1e6,
    us_per_dispatch: dispatches === 0 ? 0 : nanoseconds / 1000 / dispatches,
    share: all === 0 ? 0 : nanoseconds / 1e6 / all,
    bytes,
    gb_per_second: nanoseconds === 0 ? 0 : bytes / nanoseconds,
  };
}

/**
 * A profile as a table.
 * @param title what it is of
 * @param bandwidth of the device, in GB/s
 * @param parts shown is one of so many
 */
export function formatProfile(title: string, summary: ProfileSummary, bandwidth: number, parts = 1): string {
  const { classes, kernels } = summary;
  const each = (value: number) => value / parts;
  const speed = (rate: number) => [rate.toPrecision(3), `${((100 * rate) / bandwidth).toFixed(0)} %`];
  const row = (name: string, cost: Cost) => [
    name,
    `${(100 * cost.share).toFixed(1)} %`,
    formatTime(each(cost.gpu_ms)),
    round(each(cost.dispatches)),
    formatTime(cost.us_per_dispatch / 1000),
    formatBytes(Math.round(each(cost.bytes))),
    ...speed(cost.gb_per_second),
  ];
  const rows = [
    ["", "share", "time", "dispatches", "each", "bytes", "GB/s", "of bandwidth"],
    ...classes.map((cost) => row(cost.name, cost)),
    [],
    ...kernels.flatMap((kernel) => [
      row(kernel.name, kernel),
      ...(kernel.places.length > 1 ? kernel.places.map((place) => row(`  ${place.name}`, place)) : []),
    ]),
  ];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((cells) => (cells[i] ?? "").length)));
  const text = rows.map((cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
  );
  const { gpu_ms, dispatches, bytes, gb_per_second } = summary;
  return `${title}: ${formatTime(each(gpu_ms))} on the GPU, ${round(each(dispatches))} dispatches, ${formatBytes(Math.round(each(bytes)))} at ${gb_per_second.toPrecision(3)} GB/s of ${bandwidth.toPrecision(3)}
${text.map((line) => `${line.trimEnd()}\n`).join("")}`;
}

const round = (value: number): string => String(Math.round(value * 100) / 100);

const formatTime = (milliseconds: number): string =>
  milliseconds >= 1 ? `${milliseconds.toPrecision(3)} ms` : `${(milliseconds * 1000).toPrecision(3)} µs`;
