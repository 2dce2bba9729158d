import * as z from "zod";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import { parseJson } from "../../frontend/json-file.ts";
import type { Sizes } from "../../index.ts";
import type { OpenProgram } from "../../serialize/open-program.ts";
import type { ProgramMethod } from "../../serialize/program.ts";
import type { Source } from "../../tensor/source.ts";
import type { Inspection } from "../commands/inspect.ts";
import { countNames } from "../format.ts";
import { operatorName, tensorText } from "./method-listing.ts";
import { programText } from "./program-text.ts";
import { type ProgramView, viewProgram } from "./program-view.ts";

/** What a program file holds, whoever wrote it. Of bitnetc's own, also what its delegate's graph is made of. */
export async function inspectProgram(source: Source, showsAll: boolean): Promise<Inspection> {
  const view = await viewProgram(source);
  const { file, tables, delegates, namedData, constantData, memory } = view;
  const open = delegates.find(({ contents }) => contents?.own !== undefined)?.contents?.own;
  const warnings = [...view.warnings];
  const own = open && (await describeOwn(open, warnings));
  const json = {
    kind: "program",
    ...own,
    constants: Object.fromEntries(file.constants),
    delegates: delegates.map(({ data, contents, problem, ...table }) => ({
      ...table,
      bytes: data.size,
      ...(contents?.vulkanHeader && { header: contents.vulkanHeader }),
      ...(contents && { ops: opCounts(contents.listing), graph: contents.graph }),
      ...(contents?.plan && { plan: contents.plan }),
      ...(problem && { problem }),
    })),
    namedData,
    methods: describeMethods(view),
    memory: tables.methods.map(({ name }, i) => ({ method: name, buffers: memory[i] })),
    constantData,
    warnings,
    tables,
  };
  return {
    json: () => ({ ...json, program: view.program() }),
    text: () => programText(view, json.methods, own, showsAll),
    warnings,
  };
}

export interface OwnDescription {
  /** Op name → count in the graph after the stateful phase. */
  readonly ops: Readonly<Record<string, number>>;
  readonly sizes: Sizes | undefined;
  /** Op name → count in the graph as it is run. */
  readonly executedOps: Readonly<Record<string, number>>;
}

/** What the compiler noted in the program, unless that is damaged, and what its graph says. */
async function describeOwn(program: OpenProgram, warnings: Diagnostic[]): Promise<OwnDescription> {
  const executedOps = countNames(program.graph.nodes.map(({ op }) => op));
  const noted = await readReport(program).catch((error: unknown) => {
    if (!(error instanceof BitnetcError && error.code === "program-hash")) throw error;
    warnings.push(...error.diagnostics.map((fault) => ({ ...fault, severity: "warning" as const })));
    return undefined;
  });
  return { ops: noted?.ops ?? executedOps, sizes: noted?.sizes, executedOps };
}

const size = z.number().nonnegative();
const reportSchema = z.object({
  ops: z.record(z.string(), size),
  sizes: z
    .object({
      ...{ ternary: size, embedding: size, norm: size, other: size, total: size },
      bitsPerTernaryWeight: size,
    })
    .optional(),
});

/** @throws BitnetcError naming every field that is not as the compiler writes it */
async function readReport(program: OpenProgram): Promise<z.output<typeof reportSchema> | undefined> {
  const name = "report.json";
  if (!program.blobs.has(name)) return undefined;
  const text = new TextDecoder().decode(await program.blob(name));
  const faults: Diagnostic[] = [];
  const report = parseJson(name, text, reportSchema, faults);
  if (report === undefined) throw new BitnetcError(faults);
  return report;
}

export const opCounts = ({ calls }: { readonly calls: readonly { readonly op?: string }[] }) =>
  countNames(calls.flatMap(({ op }) => op ?? []));

export interface MethodDescription {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Kernels that it calls, by operator. */
  readonly kernels: Readonly<Record<string, number>>;
}

/** All methods but those that only return constants. */
export const describeMethods = ({ file, tables }: ProgramView): readonly MethodDescription[] =>
  tables.methods.filter(({ name }) => !file.constants.has(name)).map(describeMethod);

function describeMethod({
  name,
  values,
  inputs,
  outputs,
  operators,
  chains,
}: ProgramMethod): MethodDescription {
  const describe = (index: number): string => {
    const value = values[index]!;
    return value.type === "Tensor" ? tensorText(value) : value.type;
  };
  const calls = chains.flatMap(({ instructions }) =>
    instructions.flatMap((instruction) =>
      instruction.type === "KernelCall" ? [operators[instruction.operator]!] : [],
    ),
  );
  return {
    name,
    inputs: inputs.map(describe),
    outputs: outputs.map(describe),
    kernels: countNames(calls.map(operatorName)),
  };
}
