import { join } from "node:path";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import {
  type CompileReport,
  emit,
  type Input,
  type Lowered,
  load,
  lower,
  type Phase,
  phases,
  printGraph,
  type Sink,
} from "../../index.ts";
import { checkOutput, openInput } from "../../node/compile-file.ts";
import { fileSink, makeFolder, writeFile } from "../../node/file-sink.ts";
import type { CommandCall } from "../cli.ts";
import { compilerOptions } from "../compiler-options.ts";
import { formatBytes, formatCounts, formatTable, metricRows, sizeRows } from "../format.ts";
import { exitCodes, type Io, printJson, printWarnings } from "../io.ts";
import { Progress } from "../progress.ts";

type Call = CommandCall<"compile">;

export async function run(call: Call): Promise<number> {
  const { options } = call;
  if (options.output === undefined && options.to === undefined) {
    throw new BitnetcError(
      diagnostics.usage("Say where the program goes.", "Add -o FILE.pte, or --to PHASE to see the graph."),
    );
  }
  const progress = new Progress(call.io);
  try {
    if (options.to === undefined) await writeProgram(call, options.output!, progress);
    else await writeGraph(call, options.to, progress);
  } finally {
    progress.clear();
  }
  return exitCodes.ok;
}

async function writeProgram(call: Call, path: string, progress: Progress): Promise<void> {
  const { options, io } = call;
  const started = performance.now();
  const input = await openInput(call.argument);
  // Opened first: a compilation can take long, and a folder that is missing is known at once.
  const sink = await fileSink(path);
  let lowered: Lowered<"planned">;
  let size: number;
  try {
    lowered = await lowerTo(call, input, "planned", progress);
    ({ size } = await emit(lowered, counted(sink, lowered.report.sizes?.total ?? 0, progress)));
    await checkOutput(path, input);
    await sink.commit();
  } finally {
    await sink.discard();
  }
  progress.clear();
  const seconds = Math.round(performance.now() - started) / 1000;
  if (options.json) printJson(io, { output: path, size, seconds, ...lowered.report });
  else printSummary(io, `${path}: ${formatBytes(size)} in ${seconds} s`, lowered.report);
}

/** Stops at a phase; the result is the graph's text. */
async function writeGraph(call: Call, phase: Phase, progress: Progress): Promise<void> {
  const { options, io } = call;
  const input = await openInput(call.argument);
  const lowered = await lowerTo(call, input, phase, progress);
  progress.clear();
  const text = printGraph(lowered.graph);
  const { output } = options;
  if (output !== undefined) {
    await checkOutput(output, input);
    await writeFile(output, new TextEncoder().encode(text));
  }
  if (options.json) {
    printJson(io, { ...(output === undefined ? { graph: text } : { output }), ...lowered.report });
  } else if (output === undefined) {
    printWarnings(io, lowered.report.warnings);
    io.out(text);
  } else {
    printSummary(io, `${output}: the graph after ${phase}`, lowered.report);
  }
}

async function lowerTo<P extends Phase>(
  call: Call,
  input: Input,
  to: P,
  progress: Progress,
): Promise<Lowered<P>> {
  const { options, io } = call;
  const steps = [...phases.slice(0, phases.indexOf(to) + 1), "write"];
  progress.show("import", 0, steps.length);
  let lowered: Lowered = await load(input, await compilerOptions(call));
  await dump(options.dump, lowered);
  for (const phase of phases.slice(1, phases.indexOf(to) + 1)) {
    progress.show(phase, phases.indexOf(phase), steps.length);
    lowered = await lower(lowered, phase);
    await dump(options.dump, lowered);
  }
  if (options.verbose) {
    for (const { phase, milliseconds, nodes } of lowered.report.phases)
      io.err(`${phase}: ${nodes} nodes, ${milliseconds} ms\n`);
  }
  return lowered as Lowered<P>;
}

async function dump(folder: string | undefined, { phase, graph }: Lowered): Promise<void> {
  if (folder === undefined) return;
  await makeFolder(folder);
  await writeFile(
    join(folder, `${phases.indexOf(phase)}-${phase}.txt`),
    new TextEncoder().encode(printGraph(graph)),
  );
}

/** The same sink, with a word on how far the writing is. */
function counted(sink: Sink, total: number, progress: Progress): Sink {
  let written = 0;
  return {
    async write(offset, bytes) {
      await sink.write(offset, bytes);
      written += bytes.byteLength;
      progress.show(`writing ${formatBytes(written)}`, written, Math.max(written, total));
    },
    truncate: (size) => sink.truncate(size),
  };
}

function printSummary(io: Io, headline: string, { ops, sizes, metrics, warnings }: CompileReport): void {
  printWarnings(io, warnings);
  io.out(`${headline}\n`);
  const rows: (readonly [string, string])[] = [];
  if (Object.keys(ops).length > 0) rows.push(["ops", formatCounts(ops)]);
  if (sizes !== undefined) rows.push(...sizeRows(sizes));
  rows.push(...metricRows(metrics));
  io.out(formatTable(rows));
}
